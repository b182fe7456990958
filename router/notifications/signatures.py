"""Signatures of webhooks, by the Standard Webhooks specification 1.0 (standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

SECRET_PREFIX = "whsec_"


def sign(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """Sign a message as `webhook-signature` carries it."""
    signed = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def sign_headers(keys: Sequence[bytes], id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """Write the headers of a message, signed with each key: a receiver needs to know one of them.

    `timestamp` is the time of sending, in seconds since the epoch.
    """
    return {
        "content-type": "application/json",
        "user-agent": "tierwise",
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(key, id, timestamp, body) for key in keys),
    }


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret, `whsec_` and base64; raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("a webhook's secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def write_secret(key: bytes) -> str:
    """Write a key as its receiver is given it."""
    return SECRET_PREFIX + base64.b64encode(key).decode()
