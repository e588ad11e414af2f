"""A pipeline as simulated time passes: homes of devices, the watchdog, the notifier."""
