"""Faults applied to a fleet's readings and lines, and the ground truth about them."""
