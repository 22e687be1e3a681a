"""Features engine: technical indicators of every instrument, one vector after every bar or close."""
