"""Another host, as a server on loopback sees it: its connections come from another address."""

import socket
import socketserver
import threading

ADDRESS = "127.0.0.2"


class Elsewhere:
    """Passes connections on to ``target_port`` of this machine, from :data:`ADDRESS`. A context manager.

    Attributes:
        connections: passed on so far.
    """

    def __init__(self, target_port: int) -> None:
        self.connections = 0
        elsewhere = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                elsewhere.connections += 1
                with socket.create_connection(("127.0.0.1", target_port), source_address=(ADDRESS, 0)) as target:
                    back = threading.Thread(target=_pass, args=(target, self.request), daemon=True)
                    back.start()
                    _pass(self.request, target)
                    back.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "Elsewhere":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    """Until one of them hangs up; then both do."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
