"""Bars of Interactive Brokers: what to ask TWS for, how fast, and what its answers and errors mean."""
