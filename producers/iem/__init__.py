"""The Iowa Environmental Mesonet (IEM): what to ask when (`live`, `history`), the door to it (`door`), the loop (`poll`)."""
