"""Values that hold passwords, on their way through a cluster: nobody reads them who has not the cluster's token.

Ray keeps an actor's arguments and its key-value store in clear, in memory and, where it is told to, in Redis. What is sealed
here is encrypted and signed (Fernet: AES-128-CBC, HMAC-SHA256) under a key derived (HKDF-SHA256) from the token that every
process of an authenticated cluster has anyway. Who has it may run programs on the cluster, and so could read it anyway.

The secret is the first of these that there is::

    RAYCCTV_SEAL_KEY         for a cluster that has no token; alike on every node
    RAY_AUTH_TOKEN           Ray's token, in the order in which Ray looks for it
    RAY_AUTH_TOKEN_PATH
    ~/.ray/auth_token

Without any of them the key is a known one: a cluster that asks for no token has no secrets, since whoever reaches its ports may
run programs on it. :func:`protected` says whether that is so.
"""

import os
import pickle
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from raycctv.errors import ClusterError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SEAL_KEY = "RAYCCTV_SEAL_KEY"

_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105 - the name of a variable
_KNOWN = "a cluster without a token"
_PURPOSE = b"raycctv sealed values, version 1"
_MARK_BYTES = 4
"""What of a key's hash stands before what it sealed, to tell a wrong key from a damaged value."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Sealed(Generic[Value]):
    """A value that pickles, logs and prints without what it holds. Sealing the same value twice gives different bytes.

    >>> Sealed.of("hunter2")
    Sealed(...)
    >>> Sealed.of("hunter2").open()
    'hunter2'
    """

    data: bytes

    @classmethod
    def of(cls, value: Value) -> "Sealed[Value]":
        """Seal ``value``, which must pickle."""
        return cls(seal(pickle.dumps(value)))

    def open(self) -> Value:
        """The value.

        Raises:
            ClusterError: sealed under another key, or damaged.
        """
        return cast(Value, pickle.loads(unseal(self.data)))  # noqa: S301 - signed by whoever has the token

    def __repr__(self) -> str:
        return "Sealed(...)"


def seal(data: bytes) -> bytes:
    """``data``, encrypted and signed. Never twice the same: compare what went in."""
    mark, fernet = _keyed(_secret(os.environ))
    return mark + fernet.encrypt(data)


def unseal(sealed: bytes) -> bytes:
    """What was given to :func:`seal`.

    Raises:
        ClusterError: sealed under another key, or damaged.
    """
    from cryptography.fernet import InvalidToken

    mark, fernet = _keyed(_secret(os.environ))
    if sealed[:_MARK_BYTES] != mark:
        raise ClusterError(
            "the configuration was sealed with another token than this node has; every node needs the same "
            "~/.ray/auth_token (or RAY_AUTH_TOKEN), then run `raycctv up` again"
        )
    try:
        return fernet.decrypt(sealed[_MARK_BYTES:])
    except InvalidToken as error:
        raise ClusterError("the sealed configuration is damaged; run `raycctv up` again") from error


def protected() -> bool:
    """Whether this process has a secret to seal with."""
    return _secret(os.environ) != _KNOWN


def private_key() -> str:
    """A new secret for :data:`SEAL_KEY`: that of a cluster which lives and ends with one program."""
    return secrets.token_urlsafe(32)


def _secret(environment: Mapping[str, str]) -> str:
    for name in (SEAL_KEY, _TOKEN):
        if environment.get(name, "").strip():
            return environment[name].strip()
    path = Path(environment[_TOKEN_PATH]) if environment.get(_TOKEN_PATH) else Path.home() / ".ray" / "auth_token"
    try:
        return path.read_text().strip() or _KNOWN
    except OSError:
        return _KNOWN


@lru_cache(maxsize=4)
def _keyed(secret: str) -> "tuple[bytes, Fernet]":
    """The mark and the cipher of a secret."""
    import base64

    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    length = 32 + _MARK_BYTES
    derived: Any = HKDF(algorithm=SHA256(), length=length, salt=None, info=_PURPOSE).derive(secret.encode())
    return derived[32:], Fernet(base64.urlsafe_b64encode(derived[:32]))
