"""Kafka, the log: what has been stored but not yet spread."""
