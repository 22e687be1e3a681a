"""Bridges between the bus and programs that speak another language on Redis."""
