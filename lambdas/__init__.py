"""One folder a function."""
