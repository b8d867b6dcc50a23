"""Answers and files of the Iowa Environmental Mesonet -> facts of the weather. Sources: topics.iem; pyIEM's parsers."""
