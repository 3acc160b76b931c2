"""Signatures of what is sent and comes back: HMAC-SHA256 over a moment and the body. Nobody makes one up, or sends one again later."""

import hashlib
import hmac
import time
from collections.abc import Mapping

TIMESTAMP, SIGNATURE, DELIVERY = "X-VFO-Timestamp", "X-VFO-Signature", "X-VFO-Delivery"
MOST_APART = 300.0
"""Seconds that two clocks may differ, and that a message may be on its way."""


class Wrong(Exception):
    """It is not from whom it should be, or is too old."""


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """As it stands in the header: "sha256=" and hexadecimal digits, over TIMESTAMP "." BODY."""
    return "sha256=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def headers(key: bytes, body: bytes, delivery: str) -> dict[str, str]:
    """The headers of a message of now; *delivery* is the same when the same is sent again."""
    timestamp = f"{time.time():.3f}"
    return {TIMESTAMP: timestamp, SIGNATURE: signature(key, timestamp, body), DELIVERY: delivery}


def verified(key: bytes, given: Mapping[str, str], body: bytes, now: float | None = None) -> float:
    """When it was signed, in seconds since the epoch. Raises Wrong."""
    timestamp, said = given.get(TIMESTAMP) or "", given.get(SIGNATURE) or ""
    if not hmac.compare_digest(signature(key, timestamp, body).encode(), said.encode()):
        raise Wrong("the signature is wrong")
    try:
        at = float(timestamp)
    except ValueError:
        raise Wrong("the time stamp is no number") from None
    if not abs((time.time() if now is None else now) - at) <= MOST_APART:
        raise Wrong(f"the time stamp is more than {MOST_APART:g} s from now")
    return at


def key_of_job(secret: bytes, run_id: str) -> str:
    """The key that call-backs of one job are signed with: whoever has it knows nothing of the secret, or of other jobs."""
    return hmac.new(secret, b"job " + run_id.encode(), hashlib.sha256).hexdigest()
