"""Text that people write: durations, YAML with the position of each value, errors that point at a place, SQL."""
