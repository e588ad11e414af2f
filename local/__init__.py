"""The embedded AWS on this machine."""
