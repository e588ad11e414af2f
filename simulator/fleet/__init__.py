"""The fleet of a scenario: its devices, their registry, and the lines they send."""
