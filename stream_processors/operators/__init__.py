"""Operators: state and facts in, state and rows out. Pure, idempotent by fact id, no clock."""
