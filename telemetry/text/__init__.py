"""Text that people write: durations, YAML with the position of each value, and errors that point at a place."""
