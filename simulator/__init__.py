"""Simulation of a fleet: devices behind gateways that send batches to a sink."""
