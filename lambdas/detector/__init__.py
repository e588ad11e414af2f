"""The detector: a function on the stream that turns readings into changes of alerts."""
