"""A bad network: a TCP proxy on loopback that flips bytes in flight."""

import random
import socket
import socketserver
import threading
from typing import Self

_HANDSHAKE_BYTES = 8192
"""RTMP's handshake and the first commands pass unharmed: a connection that never stands tests nothing."""


class CorruptingProxy:
    """Passes connections on to ``target_port``; in what comes back about one byte in ``flip_every_bytes`` is flipped.

    The same seed flips the same bytes of a stream. A context manager.

    Attributes:
        flipped: bytes flipped so far.
    """

    def __init__(self, target_port: int, flip_every_bytes: int, seed: int = 0) -> None:
        self.flipped = 0
        self._target_port = target_port
        self._flip_every_bytes = flip_every_bytes
        self._random = random.Random(seed)  # noqa: S311 - damage, not secrets
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target_port)) as target:
            up = threading.Thread(target=_pass, args=(client, target), daemon=True)
            up.start()
            passed = 0
            while data := _received(target):
                damaged = data if passed < _HANDSHAKE_BYTES else self._damaged(data)
                passed += len(data)
                if not _sent(client, damaged):
                    break
            _shut(client)

    def _damaged(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        position = int(self._random.expovariate(1 / self._flip_every_bytes))
        while position < len(damaged):
            damaged[position] ^= 1 << self._random.randrange(8)
            self.flipped += 1
            position += 1 + int(self._random.expovariate(1 / self._flip_every_bytes))
        return bytes(damaged)


def _pass(source: socket.socket, sink: socket.socket) -> None:
    while data := _received(source):
        if not _sent(sink, data):
            break
    _shut(sink)


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _sent(sink: socket.socket, data: bytes) -> bool:
    try:
        sink.sendall(data)
    except OSError:
        return False
    return True


def _shut(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
