"""The consumers that read the log: inbox and push, on one small loop."""
