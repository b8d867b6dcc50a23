"""What brings the outside in: each source's session or plan as a pure file, and a thin loop that appends its bytes."""
