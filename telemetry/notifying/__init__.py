"""Transitions to notifications: groups, inhibition, dispatch, and the messages that subscribers receive."""
