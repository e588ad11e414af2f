"""The curate job: raw lines in, curated tables out."""
