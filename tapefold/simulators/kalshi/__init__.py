"""Kalshi's market data exchange, simulated: signed handshake, subscriptions, recorded frames, and faults on demand."""
