"""Compositions of the whole fleet: embedded, simulated, and the ``nautilus`` command."""
