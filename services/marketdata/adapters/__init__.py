"""The only place of marketdata with I/O: files, packages, and the replay that drives the fleet."""
