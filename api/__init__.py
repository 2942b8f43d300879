"""HTTP and WebSocket, for clients."""
