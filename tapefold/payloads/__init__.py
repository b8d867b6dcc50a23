"""Recorded payloads of every source: read from files, parsed as live (`tapefold parse`), appended (`tapefold load`)."""
