"""The raw zone and the curated zone, and what the job keeps about them: an index, a position."""
