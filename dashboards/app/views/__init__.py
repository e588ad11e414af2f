"""The pages. Each fetches its data and draws it."""
