"""The webhook receiver's place in the whole: its settings, its dead letters, its commands."""
