"""The Streamlit app for people on duty and for owners of the fleet; see ``iot dashboard``."""
