"""One folder per function, ``store`` for what they share, and ``bootstrap``, which wires them."""
