"""Where the runbooks look for their services."""
