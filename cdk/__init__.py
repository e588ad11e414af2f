"""The infrastructure as code."""
