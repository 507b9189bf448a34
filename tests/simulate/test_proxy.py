import socket
import socketserver
import threading

from raycctv.simulate.proxy import CorruptingProxy

SENT = bytes(200_000)


class Zeros(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(1)
        self.request.sendall(SENT)


def fetched(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"?")
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_proxy_flips_as_many_bits_as_it_counts_and_spares_the_handshake() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Zeros) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        with CorruptingProxy(server.server_address[1], flip_every_bytes=1000, seed=1) as proxy:
            received = fetched(proxy.port)
        server.shutdown()
    assert len(received) == len(SENT)
    damaged = [value for value in received if value]
    assert len(damaged) == proxy.flipped
    assert all(value.bit_count() == 1 for value in damaged)
    assert 100 < proxy.flipped < 300
