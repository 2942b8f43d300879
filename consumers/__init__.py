"""What reads the log: inbox and push, on one small loop."""
