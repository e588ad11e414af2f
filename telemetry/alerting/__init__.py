"""Readings to alert transitions: the state machine, windows of readings, and missing data."""
