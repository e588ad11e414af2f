"""Constructs: one concern a file."""
