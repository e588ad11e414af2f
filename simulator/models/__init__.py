"""Models of devices and their surroundings: sites, climate, measurements, and reproducible randomness."""
