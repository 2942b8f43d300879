"""What the figures come from: a load generator for a running Ringpost."""
