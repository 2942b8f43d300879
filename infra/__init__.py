"""The three engines, the process around them, and what runs them on one machine."""
