"""Stacks: wiring only."""
