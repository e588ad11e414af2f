"""One folder a function: handler.py parses and returns, the rest does one thing each."""
