"""Clients of the three engines, what every process needs, and the embedded engines."""
