"""Strategies, the order book of record and the pre-trade gate; beside them a paper venue, an engine of its own."""
