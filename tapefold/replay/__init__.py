"""`tapefold replay`: the tape folded again beside the live tables, and compared with them row by row."""
