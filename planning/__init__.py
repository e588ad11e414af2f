"""The capacity and cost of a pipeline for a given fleet."""
