"""Passwords out of text: URLs and ffmpeg's messages pass through here before anyone reads them."""

import re

MASK = "***"

_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/:@]*):(?P<password>[^\s/]*|(?!\d{1,5}/)[^\s]*)@"
)
"""A password may hold a slash, as those of object stores do; what follows a colon may also be a port and a path."""
_SECRET_PARAMETER = re.compile(r"(?P<key>[?&](?:password|passwd|pwd|pass|token|key|secret|auth)=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """``text`` with every URL password, and every query parameter named like a secret, replaced by ``***``.

    >>> redact("cannot open rtsp://admin:hunter2@cam1/stream?token=abc")
    'cannot open rtsp://admin:***@cam1/stream?token=***'
    """
    text = _URL_CREDENTIALS.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    return _SECRET_PARAMETER.sub(rf"\g<key>{MASK}", text)
