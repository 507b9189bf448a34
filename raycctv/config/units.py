"""Values that people write in a configuration: ``7d``, ``500GB``, ``10%``, ``rtsp://user:password@camera/stream``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

from raycctv.redact import redact

STREAM_SCHEMES = ("rtmp", "rtmps", "rtsp", "rtsps", "file")

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z%]+)\s*")


def parse_duration_s(value: object) -> float:
    """Seconds, from ``7d``, ``12h``, ``30m``, ``45s``, ``2w`` or a number of seconds.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _QUANTITY.fullmatch(str(value))
    if match is None or match[2].lower() not in _SECONDS:
        raise ValueError(f"{value!r} is no duration; write one like 45s, 30m, 12h, 7d or 2w")
    return float(match[1]) * _SECONDS[match[2].lower()]


def parse_size_bytes(value: object) -> int:
    """Bytes, from ``500GB``, ``1.5TiB`` or a number of bytes.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _QUANTITY.fullmatch(str(value))
    if match is None or match[2].upper() not in _BYTES:
        raise ValueError(f"{value!r} is no size; write one like 800MB, 500GB or 2TiB")
    return round(float(match[1]) * _BYTES[match[2].upper()])


def parse_store(value: object) -> str:
    """A folder, or a URL that fsspec knows and this machine has the package for.

    Raises:
        ValueError: it holds a password, or nothing here can write to it.
    """
    from fsspec.core import split_protocol
    from fsspec.registry import get_filesystem_class

    to = str(value)
    if not isinstance(value, str | Path):
        raise ValueError(f"{to!r} is neither a folder nor a URL")
    if redact(to) != to:
        raise ValueError(
            f"{redact(to)!r} holds a password; leave it to the store's own environment variables or configuration files"
        )
    protocol, path = split_protocol(to)
    if not path:
        raise ValueError(f"{to!r} names no folder; write one like /mnt/second/footage or s3://bucket/footage")
    try:
        get_filesystem_class(protocol or "file")
    except (ImportError, ValueError) as error:
        raise ValueError(f"{to!r} cannot be written to: {error}; write a folder, or a URL like s3://bucket/footage") from None
    return to


Store = Annotated[str, BeforeValidator(parse_store)]
DurationS = Annotated[float, BeforeValidator(parse_duration_s)]
SizeBytes = Annotated[int, BeforeValidator(parse_size_bytes)]


def _kept_or_text(value: object, info: SerializationInfo) -> object:
    """In Python the value itself, in JSON its text (for a URL: masked)."""
    return value if info.mode == "python" else str(value)


@dataclass(frozen=True)
class FreeSpace:
    """How much of a disk must stay free: a share of it, or a number of bytes."""

    fraction: float | None = None
    size_bytes: int | None = None

    def of(self, disk_bytes: int) -> int:
        """The floor in bytes on a disk of ``disk_bytes``."""
        if self.size_bytes is not None:
            return self.size_bytes
        return round((self.fraction or 0.0) * disk_bytes)

    def __str__(self) -> str:
        return f"{self.fraction * 100:g}%" if self.fraction is not None else f"{self.size_bytes}B"

    @classmethod
    def parse(cls, value: object) -> "FreeSpace":
        """From ``10%`` or a size.

        Raises:
            ValueError: neither, or a share that is not below 100%.
        """
        if isinstance(value, FreeSpace):
            return value
        match = _QUANTITY.fullmatch(str(value))
        if match is None or match[2] != "%":
            return cls(size_bytes=parse_size_bytes(value))
        if float(match[1]) >= 100:
            raise ValueError(f"{value!r} leaves nothing to record on; write a share below 100%")
        return cls(fraction=float(match[1]) / 100)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(_kept_or_text, info_arg=True)
        )


class Url:
    """Where a server is. ``str()`` and ``repr()`` mask the password; only :meth:`reveal` has it, for whoever connects.

    No dataclass, because everything that walks a dataclass's fields would walk into the password.
    """

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """The whole URL, password included. Give it to whoever connects, never to a log."""
        return self._url

    @property
    def scheme(self) -> str:
        return urlsplit(self._url).scheme.lower()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Url) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __str__(self) -> str:
        return redact(self._url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({redact(self._url)!r})"

    @classmethod
    def parse(cls, value: object) -> Self:
        """From the text of a URL.

        Raises:
            ValueError: not one of this kind.
        """
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(_kept_or_text, info_arg=True)
        )


def _split(text: str) -> SplitResult:
    """The parts of a URL.

    Raises:
        ValueError: no URL, or a port that is none.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        scheme, _, rest = text.partition("://")
        if "@" not in rest:
            raise ValueError(f"{redact(text)!r} is no URL: {error}") from None
        shown = f"{scheme}://***@{rest.rpartition('@')[2]}"  # without the error, which may hold a part of the password
        raise ValueError(f"{shown!r} is no URL; in user and password write / as %2F, # as %23, @ as %40") from None
    return parts


class ServerUrl(Url):
    """A server that is spoken to by HTTP."""

    SCHEMES: ClassVar[tuple[str, ...]] = ("http", "https")
    EXAMPLE: ClassVar[str] = "http://127.0.0.1:9200"

    @classmethod
    def parse(cls, value: object) -> Self:
        """From the text of a URL.

        Raises:
            ValueError: another scheme, no host, or a port that is none.
        """
        if isinstance(value, cls):
            return value
        text = str(value)
        parts = _split(text)
        if parts.scheme.lower() not in cls.SCHEMES or not parts.hostname:
            raise ValueError(f"{redact(text)!r} names no server; write one like {cls.EXAMPLE}")
        return cls(text)


class MqttUrl(ServerUrl):
    """An MQTT broker."""

    SCHEMES = ("mqtt", "mqtts")
    EXAMPLE = "mqtt://127.0.0.1:1883"


class StreamUrl(Url):
    """Where a stream is."""

    @property
    def is_file(self) -> bool:
        """Whether this is a video file, which is read as fast as it is analysed and is not recorded."""
        return self.scheme == "file"

    @classmethod
    def parse(cls, value: object) -> Self:
        """From the text of a URL.

        Raises:
            ValueError: no URL, a scheme that is no stream, no host, or a port that is none.
        """
        if isinstance(value, cls):
            return value
        text = str(value)
        parts = _split(text)
        if parts.scheme.lower() not in STREAM_SCHEMES:
            raise ValueError(f"{redact(text)!r} is no stream; write one like rtsp://host/path or rtmp://host/app/name")
        if parts.scheme.lower() != "file" and not parts.hostname:
            raise ValueError(f"{redact(text)!r} names no host; write one like {parts.scheme}://192.168.1.20/stream")
        if not parts.path.strip("/"):
            raise ValueError(f"{redact(text)!r} names no stream on that host; write one like {parts.scheme}://host/path")
        return cls(text)
