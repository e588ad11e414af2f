"""The Streamlit page: what a person on duty, and whoever answers for the fleet, look at; see ``iot dashboard``."""
