"""A run: records in the order of time, sent at their time, counted in a manifest."""
