"""A log that is another one now, or no longer holds all offsets: what a sink compares with its commits."""

from typing import Any

from topics.log import Identity, MemoryLog, TopicPartition, Watermarks


class ChangedLog(MemoryLog):
    """A log whose ids and low watermark a test sets. strange: topics that were made anew."""

    cluster = "c1"
    topic_id = "id1"
    low = 0

    def __init__(self) -> None:
        super().__init__()
        self.strange: set[str] = set()

    def identity(self, topics: Any) -> Identity:
        """The ids that the test sets."""
        return Identity(self.cluster, {each: "id2" if each in self.strange else self.topic_id for each in topics})

    def watermarks(self, topics: Any) -> dict[TopicPartition, Watermarks]:
        """From the low watermark that the test sets."""
        return {key: Watermarks(self.low, mark.high) for key, mark in super().watermarks(topics).items()}
