"""The units of a reading's metrics, as the page writes them."""

UNITS = {"temperature": "°C", "humidity": "%RH", "battery": "V"}
