"""The WebSocket gateway: every online device, each entry once, in order."""
