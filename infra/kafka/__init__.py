"""Kafka, the log: messages that are stored and not yet in inboxes."""
