"""HTTP and WebSocket: what clients talk to."""
