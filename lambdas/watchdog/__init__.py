"""The watchdog: once a minute, what the clock brings due without a reading."""
