"""The websocket engine: what the fleet publishes, to whoever subscribed, and to nobody at the cost of another."""
