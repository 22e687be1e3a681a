"""The hop to the engines."""
