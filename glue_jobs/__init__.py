"""One folder a job."""
