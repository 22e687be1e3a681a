"""Marketdata: where every price of the fleet enters, and what gives the fleet its time."""
