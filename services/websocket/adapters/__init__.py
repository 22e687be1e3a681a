"""Sockets, the bus and the passing of time."""
