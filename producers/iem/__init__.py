"""The Iowa Environmental Mesonet (IEM): what to ask when (`plan`), the one door to it (`door`), the loops (`poll`)."""
