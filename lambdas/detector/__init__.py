"""The detector: readings from the stream in, alerts to SNS out."""
