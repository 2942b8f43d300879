"""What writes: send, group commit, spread, and the relay that spreads what was left."""
