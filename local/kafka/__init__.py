"""Kafka on this machine: a broker, and a bridge that plays what AWS puts between a topic and this pipeline."""
