"""The portfolio engine: the ledger of cash, positions and profit, in exact decimal money."""
