"""Factor engine: cross-sectional factors and their z-scores over the universe of each day."""
