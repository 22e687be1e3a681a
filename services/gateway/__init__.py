"""The gateway: one address for people and programs outside, in front of all engines."""
