"""Tests of alert rules: the notation of their file, what is sent, run and compared."""
