"""AWS in memory, as far as our code calls it, for tests and benchmarks. A call can be throttled, denied or the last."""
