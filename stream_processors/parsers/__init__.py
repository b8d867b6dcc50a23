"""Parsers: one raw record in, facts out. Pure; they refuse with BadRecord."""
