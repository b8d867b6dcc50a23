"""Protocol-true stand-ins for the outside world: what the producers meet in tests, demos and rehearsals of faults."""
