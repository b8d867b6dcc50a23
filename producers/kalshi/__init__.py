"""Kalshi, outside in: the signed WebSocket session and REST, appended to the log as received."""
