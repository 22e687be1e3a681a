"""Performance of portfolios, quality of their execution, volatility of instruments."""
