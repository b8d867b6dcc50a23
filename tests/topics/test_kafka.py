"""How messages of the library become columns; that they are those of the log is tested against a broker."""

from confluent_kafka.cimpl import Message

from topics.kafka import KafkaReader


class Once:
    """A consumer that gives the same messages at each call."""

    def __init__(self, messages):
        self._messages = messages

    def assign(self, _):
        """Nothing is read."""

    def consume(self, *_):
        """All of them."""
        return self._messages


def test_messages_of_several_topics_and_partitions_are_parted():
    """Runs of one partition number may hold several topics, and a partition may come in several runs: none is lost."""
    places = [("a", 0), ("a", 0), ("b", 0), ("a", 0), ("a", 1), ("b", 1), ("b", 0), ("a", 0), ("b", 1)]
    messages = [
        Message(topic=topic, partition=number, offset=offset, value=b"%d" % offset)
        for offset, (topic, number) in enumerate(places)
    ]
    came = {
        (part.topic, part.partition): list(zip(part.offsets, part.values, strict=True))
        for part in KafkaReader(Once(messages), {}).read_stretches(100, 0, bare=True)
    }
    expected = {}
    for offset, place in enumerate(places):
        expected.setdefault(place, []).append((offset, b"%d" % offset))
    assert expected == came
