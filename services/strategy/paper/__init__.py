"""The paper venue: an engine of its own that fills orders on the prices after they were placed.

It consumes orders and market data, publishes execution reports, and knows nothing of strategies or portfolios. An
order never fills on the price it was decided on: it waits for the next timestamp. What a price event can fill is in
:mod:`matching`, what it costs in :mod:`costs`, when a day order ends in :mod:`sessions`.
"""
