"""The composition root: the only package that knows all the others, the environment and the wall clock."""
