"""Replay of a data set: its files as readings of devices that report now."""
