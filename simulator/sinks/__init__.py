"""Destinations of records: one module per kind, opened by URL."""
