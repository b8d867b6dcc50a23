"""The language of the log: topics, records, headers, typed events, errors, and the log itself."""
