"""Prints the one-time code of this moment (RFC 6238) for the base32 secret in $BED_TOTP_SECRET."""

from __future__ import annotations

import base64
import hmac
import os
import struct
import sys
import time


def code(secret: str, now: float) -> str:
    """Return the six digits of the half minute around this moment."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(now) // 30), "sha1")
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1000000:06d}"


if __name__ == "__main__":
    sys.stdout.write(code(os.environ["BED_TOTP_SECRET"], time.time()) + "\n")
