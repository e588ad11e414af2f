"""A fleet of devices behind gateways, and where its batches go."""
