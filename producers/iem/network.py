"""IEM's own list of the stations that have climate reports: what is configured is held against it. Pure.

Source: /geojson/network.py (pylib/iemweb/geojson/network.py of akrherz/iem): a FeatureCollection, a feature a station, its
id in `id` and in `properties.sid`. A list without stations is no list: an empty 200 is not data.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from producers.iem.look import Reply

PATH = "/geojson/network.py?network=NWSCLI"
_OK = 200


class _Feature(Struct):
    id: str


class _Network(Struct):
    features: list[_Feature]


_decode = msgspec.json.Decoder(_Network).decode


def unlisted(reply: Reply, stations: Sequence[str]) -> list[str] | None:
    """The stations that the list does not have; None when the answer is no list."""
    if reply.status != _OK:
        return None
    try:
        listed = {feature.id for feature in _decode(reply.body).features}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return [station for station in stations if station not in listed] if listed else None
