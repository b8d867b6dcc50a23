"""TWS as seen from its socket: handshake, contracts, bars, and the ways in which it is known to fail."""
