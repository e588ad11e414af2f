"""The quality of a pipeline: audits, scores, rehearsals, backtests and tests of rules."""
