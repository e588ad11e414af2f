"""Scenario files: sites, groups of devices and faults, as a person writes them; the built-in library."""
