"""What the detector, the watchdog and the notifier share: tables, queue, topic, lake, rules and settings."""
