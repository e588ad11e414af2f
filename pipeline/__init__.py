"""Working with a deployed pipeline, wherever it runs: find it, run its job, query it, listen to it, audit it."""
