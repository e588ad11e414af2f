"""The detector: readings in, alerts out."""
