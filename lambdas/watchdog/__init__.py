"""The watchdog: a function that runs every minute and does what is due by the clock, without a reading."""
