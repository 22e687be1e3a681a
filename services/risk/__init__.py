"""The risk engine: exposures, value at risk, drawdown, limits with their breaches, and halts."""
