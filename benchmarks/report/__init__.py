"""The performance report: measurements, aims, plots and the page."""
