"""Constructs of a Kafka topic on Amazon MSK."""
