"""Recorded deliveries: JSON documents or lines, each verified as it would have been when it was signed.

A delivery is an object with `headers` and `body` (text as sent), or `body_base64`; beside them may stand `secret` (then
the signature is verified at its own time, and one that is wrong is refused), `provider` and `received_ns`, the
receiver's stamp. A file may hold one, a list of them, or one a line. An object without `headers` is a bare payload of
Stripe (`"object": "event"`) or a Standard Webhook; a document whose members all say their `object` is a collection of
such, as Stripe publishes them.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from producers.webhook.content import content_of, id_of_content
from producers.webhook.schemes import Headers, Rejected, Scheme, Signed, Tolerance, key_of, unverified, verify
from tapefold.payloads.files import Payload, content
from topics.errors import SettingsError
from topics.units import NS_PER_S
from topics.webhook import H_CONTENT, H_PROVIDER, H_REJECTED, H_SCHEME, H_SIGNED_S, H_WEBHOOK_ID

SUFFIXES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_ANY_TIME = Tolerance(10**12, 10**12)
_PROVIDER = "recorded"


def payloads(path: Path) -> Iterator[Payload]:
    """The file's deliveries in its order. What is none is given as it stands, for the parser to refuse."""
    text = content(path)
    try:
        documents = [json.loads(text)]
    except (ValueError, RecursionError):
        for line in text.splitlines():
            if line.strip():
                yield _of_line(line)
        return
    for document in documents:
        yield from _of_document(document)


def _of_line(line: bytes) -> Payload:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and isinstance(value.get("headers"), dict):
        return _delivery(value)
    return _bare(line, value)


def _of_document(value: Any) -> Iterator[Payload]:
    if isinstance(value, list):
        for one in value:
            yield from _of_document(one)
    elif isinstance(value, dict) and isinstance(value.get("headers"), dict):
        yield _delivery(value)
    elif isinstance(value, dict) and value and all(isinstance(one, dict) and "object" in one for one in value.values()):
        for one in value.values():
            yield _bare(json.dumps(one).encode(), one)
    else:
        yield _bare(json.dumps(value).encode(), value)


def _bare(body: bytes, value: Any) -> Payload:
    """A payload without its request: nobody's signature is claimed, and it is known from the load on."""
    scheme: Scheme = "stripe" if isinstance(value, dict) and "object" in value else "standard"
    return _payload(scheme, body)


def _delivery(value: Mapping[str, Any]) -> Payload:
    headers: Headers = [
        (str(n).lower().encode("utf-8", "replace"), str(v).encode("latin-1", "replace"))
        for n, v in value["headers"].items()
    ]
    scheme: Scheme = "stripe" if any(name == b"stripe-signature" for name, _ in headers) else "standard"
    provider = value.get("provider")
    stamp = value.get("received_ns")
    signed = rejected = None
    try:
        signed = _signed(scheme, value.get("secret"), headers, _body(value))
    except (Rejected, SettingsError) as error:
        rejected = error.why if isinstance(error, Rejected) else "no key"
    return _payload(
        scheme,
        _body(value),
        provider=provider if isinstance(provider, str) and provider.isascii() and provider else _PROVIDER,
        signed=signed,
        rejected=rejected,
        stamped_ns=stamp if isinstance(stamp, int) and 0 < stamp < 2**63 else None,
    )


def _body(value: Mapping[str, Any]) -> bytes:
    packed = value.get("body_base64")
    if isinstance(packed, str):
        try:
            return base64.b64decode(packed, validate=True)
        except ValueError:  # binascii.Error, and text that is not ASCII
            return packed.encode()
    body = value.get("body")
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else b""


def _signed(scheme: Scheme, secret: Any, headers: Headers, body: bytes) -> Signed:
    """What is signed, at the time it says of itself. Raises Rejected, SettingsError."""
    if isinstance(secret, str):
        return verify(scheme, [key_of(scheme, secret)], headers, body, now_ns=0, within=_ANY_TIME)
    return unverified(scheme, headers, 0)


def _payload(
    scheme: Scheme,
    body: bytes,
    *,
    provider: str = _PROVIDER,
    signed: Signed | None = None,
    rejected: str | None = None,
    stamped_ns: int | None = None,
) -> Payload:
    told = content_of(scheme, body)
    event_id = (signed.event_id if signed else None) or told.event_id or id_of_content(told.digest)
    headers = [
        (H_PROVIDER, provider.encode()),
        (H_SCHEME, scheme.encode()),
        (H_WEBHOOK_ID, event_id.encode()),
        (H_CONTENT, told.digest.hex().encode()),
    ]
    if signed is not None and signed.signed_s:
        headers.append((H_SIGNED_S, b"%d" % signed.signed_s))
    if rejected is not None:
        headers.append((H_REJECTED, rejected.encode()))
    reached_ns = signed.signed_s * NS_PER_S if signed and signed.signed_s else None
    return Payload(body, f"{provider}/{event_id}".encode(), stamped_ns, reached_ns, headers=tuple(headers))
