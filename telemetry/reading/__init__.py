"""The reading: its fields, their bounds, and the batches of JSON lines it travels in."""
