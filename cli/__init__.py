"""The `iot` command: thin verbs over functions that live elsewhere."""
