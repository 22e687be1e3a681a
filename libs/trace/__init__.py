"""Finding an event by its id, and walking it back to what it came from."""
