"""Kalshi's REST API: what to ask (`plan`), page by page (`pages`), how fast (`budget`), through one `door`; the loops."""
