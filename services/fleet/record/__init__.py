"""A run in a file: recording it, replaying it through today's code, tracing its events."""
