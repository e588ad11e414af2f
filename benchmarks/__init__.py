"""Benchmarks: each part next to what people use today for the same work, and next to a floor that cannot be beaten."""
