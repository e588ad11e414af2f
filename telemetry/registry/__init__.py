"""The registry of devices: a CSV file, and its columns as typed values."""
