"""Stores for second copies that do not do what they should: fsspec's memory, with faults."""

import threading
from collections.abc import Callable
from typing import Self

import fsspec
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem


class BadStore(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store whose ``fault`` strikes at each file that is written, ``times`` times."""

    protocol = "bad"
    fault = ""
    times = 0
    written: list[str] = []  # noqa: RUF012 - all instances share it, as they do their content

    @classmethod
    def opened(cls) -> type[Self]:
        """This store at ``bad://``, without a fault."""
        fsspec.register_implementation(cls.protocol, cls, clobber=True)
        cls.fault, cls.times, cls.written = "", 0, []
        return cls

    def _open(self, path: str, mode: str = "rb", **options: object) -> MemoryFile:
        if mode != "wb":
            return super()._open(path, mode, **options)
        self.written.append(path)
        fault = type(self).fault if type(self).times > 0 else ""
        type(self).times -= 1
        if fault == "refuses":
            raise PermissionError(13, "Permission denied", path)
        file = super()._open(path, mode, **options)
        if fault:
            file.write = {"breaks": _breaks, "swallows": _swallows, "lies": _lies}[fault](file.write)
        return file


Write = Callable[[bytes], int]


def _breaks(write: Write) -> Write:
    def half(data: bytes) -> int:
        write(data[: len(data) // 2])
        raise ConnectionResetError(104, "Connection reset by peer")

    return half


def _swallows(write: Write) -> Write:
    return lambda data: write(data[:-1]) + 1


def _lies(write: Write) -> Write:
    return lambda data: write(bytes([data[0] ^ 1]) + data[1:])


class HangingStore(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store that answers nothing until it is released."""

    protocol = "hanging"
    released = threading.Event()

    @classmethod
    def opened(cls) -> type[Self]:
        """This store at ``hanging://``, not released."""
        fsspec.register_implementation(cls.protocol, cls, clobber=True)
        cls.released.clear()
        return cls

    def info(self, path: str, **options: object) -> object:
        self.released.wait()
        return super().info(path, **options)


def empty() -> None:
    """What the stores hold is the same memory: forget it."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
