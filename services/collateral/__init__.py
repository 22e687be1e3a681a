"""Margin of portfolios: requirement, what stands against it, alerts when it runs short."""
