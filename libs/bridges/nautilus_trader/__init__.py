"""NautilusTrader on the bus: what a node or backtest publishes as our events, and our market data in its words.

The package ``nautilus_trader`` is not needed and never imported here: its entries are plain JSON or MessagePack.
"""
