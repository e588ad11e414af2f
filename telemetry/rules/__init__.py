"""The rules file: conditions, checks, and the rule set that the detector evaluates."""
