"""The notifier: a function on the transitions queue that turns transitions into notifications."""
