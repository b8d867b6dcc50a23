"""Webhooks: the headers that their receiver writes on a raw record, and the fact that is read in it."""

from typing import Literal

from msgspec import Raw, Struct

from topics.events import Cause, Int64, KnownBy

# Headers of `raw.webhook` beside the common ones. Together they are the event's marker: see producers/webhook/markers.
H_PROVIDER = "provider"  # who sent it: the last part of the path it was posted to
H_SCHEME = "scheme"  # standard | stripe: how it was signed
H_WEBHOOK_ID = "webhook_id"  # the event's id, the same on every delivery
H_CONTENT = "content"  # digest of the material content, hexadecimal
H_SIGNED_S = "signed_s"  # the signed time, seconds since the epoch; absent when the signature was not verified
H_SIGNATURE = "signature"  # the signature as sent, so that the record can be verified again
H_CONFLICT = "conflict"  # the id came before with other content, in the record `partition/offset`
H_REJECTED = "rejected"  # loaded recordings only: why the signature is none; a receiver stores no such request
H_REDRIVE_OF = "redrive_of"  # appended again by an operator: `partition/offset` of the record that was refused


class Webhook(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="webhook", omit_defaults=True):
    """One event that a provider pushed. Identity: provider, event_id and content.

    event_ns: when it happened; event_by: by the payload, else by the signed time, else by our clock. content: digest
    of what is material in the payload. payload: the body as sent, without blanks between its tokens.
    """

    provider: str
    scheme: Literal["standard", "stripe"]
    event_id: str
    event_ns: Int64
    event_by: Literal["payload", "signed", "received"]
    received_ns: Int64
    known_ns: Int64
    known_by: KnownBy
    cause: Cause
    conn: str
    content: str
    event_type: str | None = None
    object_id: str | None = None
    signed_ns: Int64 | None = None
    payload: Raw = Raw(b"{}")

    @property
    def verified(self) -> bool:
        """Whether the signature was verified; only a receiver that was told not to stores what is not."""
        return self.signed_ns is not None
