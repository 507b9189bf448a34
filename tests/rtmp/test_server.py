"""A real nginx-rtmp: what the rest of raycctv relies on, and what it says when it cannot run."""

import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import psutil
import pytest
from servers.elsewhere import ADDRESS, Elsewhere
from support import until

from raycctv.errors import ServerError
from raycctv.rtmp.server import RtmpServer, StreamStat, find_nginx, free_port
from raycctv.simulate.camera import SimulatedCamera

FPS = 15


class Player:
    """Plays a stream in a thread, as a reader or a recorder does, from connection to end."""

    def __init__(self, url: str) -> None:
        self.packets: list[av.Packet[av.VideoStream]] = []
        self.kinds: list[str] = []
        self.playing = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._play, args=(url,))
        self._thread.start()

    def _play(self, url: str) -> None:
        options = {"rtmp_live": "live", "analyzeduration": "100000"}
        with av.open(url, options=options, timeout=20) as container:
            self.kinds = [stream.type for stream in container.streams]
            self.playing.set()
            self.packets.extend(packet for packet in container.demux(video=0) if packet.size)
        self.ended.set()

    def join(self) -> None:
        self._thread.join(25)
        assert not self._thread.is_alive()


def stat(server: RtmpServer, name: str) -> StreamStat | None:
    return next((stream for stream in server.streams() if stream.name == name), None)


def publishing(server: RtmpServer, name: str) -> bool:
    found = stat(server, name)
    return found is not None and found.publishing


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture
def camera(rtmp: RtmpServer, clip: Path, name: str) -> Iterator[SimulatedCamera]:
    simulated = SimulatedCamera(name, clip, rtmp.url(name))
    yield simulated
    simulated.stop()


def test_player_that_comes_first_waits_and_gets_every_picture(rtmp: RtmpServer, camera: SimulatedCamera, name: str) -> None:
    player = Player(rtmp.url(name))
    until(lambda: stat(rtmp, name) is not None, 5)
    assert not publishing(rtmp, name)
    camera.start()
    until(lambda: camera.online_s > 2, 10)
    camera.stop()
    player.join()
    assert player.packets[0].is_keyframe
    assert player.packets[0].pts == 0
    assert len(player.packets) == pytest.approx(camera.online_s * FPS, abs=1)


def test_player_that_comes_late_begins_with_a_keyframe(rtmp: RtmpServer, camera: SimulatedCamera, name: str) -> None:
    camera.start()
    until(lambda: camera.online_s > 1.2, 10)
    player = Player(rtmp.url(name))
    until(lambda: camera.online_s > 3, 10)
    camera.stop()
    player.join()
    first = player.packets[0]
    assert first.is_keyframe
    assert first.pts is not None
    assert first.pts > 1000


def test_player_that_comes_late_to_a_stream_with_sound_finds_its_video(rtmp: RtmpServer, clip: Path, name: str) -> None:
    sound = ["-re", "-f", "lavfi", "-i", "sine", "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac"]
    publisher = subprocess.Popen(["ffmpeg", "-v", "error", "-re", "-i", clip, *sound, "-f", "flv", rtmp.url(name)])
    try:
        until(lambda: publishing(rtmp, name), 5)
        time.sleep(0.4)  # into the middle of a GOP, where only sound comes at once
        player = Player(rtmp.url(name))
        until(player.playing.is_set, 10)
    finally:
        publisher.terminate()
        publisher.wait()
    player.join()
    assert sorted(player.kinds) == ["audio", "video"]
    assert player.packets[0].is_keyframe


def test_player_sees_the_end_when_the_camera_leaves(rtmp: RtmpServer, camera: SimulatedCamera, name: str) -> None:
    camera.start()
    player = Player(rtmp.url(name))
    until(player.playing.is_set, 5)
    camera.stop()
    assert until(player.ended.is_set, 5) < 2
    player.join()


def test_player_sees_the_end_when_the_camera_is_cut_off(rtmp: RtmpServer, camera: SimulatedCamera, name: str) -> None:
    camera.start()
    player = Player(rtmp.url(name))
    until(player.playing.is_set, 5)
    assert camera.pid is not None
    os.kill(camera.pid, signal.SIGKILL)
    assert until(player.ended.is_set, 5) < 2
    player.join()


def test_camera_that_returns_is_played_again(rtmp: RtmpServer, camera: SimulatedCamera, name: str) -> None:
    for _ in range(2):
        camera.start()
        player = Player(rtmp.url(name))
        assert until(player.playing.is_set, 10) < 5
        camera.stop()
        player.join()


def test_second_camera_of_the_same_name_is_refused(rtmp: RtmpServer, camera: SimulatedCamera, clip: Path, name: str) -> None:
    camera.start()
    until(lambda: publishing(rtmp, name), 5)
    second = SimulatedCamera(name, clip, rtmp.url(name))
    second.start()
    try:
        until(lambda: second.pid is None, 5)
    finally:
        second.stop()
    assert publishing(rtmp, name)
    assert camera.pid is not None


def test_camera_that_hangs_is_dropped_and_may_come_back(rtmp: RtmpServer, camera: SimulatedCamera, name: str) -> None:
    camera.start()
    player = Player(rtmp.url(name))
    until(lambda: publishing(rtmp, name), 5)
    camera.freeze()
    assert 5 < until(lambda: not publishing(rtmp, name), 20) < 15
    assert player.ended.wait(2)
    player.join()
    camera.stop()
    camera.start()
    assert until(lambda: publishing(rtmp, name), 10) < 5


@pytest.mark.slow
def test_recorder_that_stalls_loses_nothing(rtmp: RtmpServer, clip: Path, name: str, tmp_path: Path) -> None:
    """As one does that waits for its disk: 25 s is less than ``ping_timeout``, more than any socket keeps."""
    recorded = tmp_path / "recorded.flv"
    command = ["ffmpeg", "-v", "error", "-rtmp_live", "live", "-i", rtmp.url(name), "-c", "copy", str(recorded)]
    recorder = subprocess.Popen(command)
    simulated = SimulatedCamera(name, clip, rtmp.url(name))
    simulated.start()
    try:
        until(lambda: recorded.exists() and recorded.stat().st_size > 0, 15)
        recorder.send_signal(signal.SIGSTOP)
        stalled_from_s = simulated.online_s
        until(lambda: simulated.online_s > stalled_from_s + 25, 40)
        recorder.send_signal(signal.SIGCONT)
        until(lambda: simulated.online_s > stalled_from_s + 28, 10)
    finally:
        simulated.stop()
        assert recorder.wait(10) == 0
    with av.open(str(recorded)) as container:
        frames = sum(1 for packet in container.demux(video=0) if packet.size)
    assert frames == pytest.approx(simulated.online_s * FPS, abs=1)


def test_streams_tell_who_is_there(rtmp: RtmpServer, camera: SimulatedCamera, name: str) -> None:
    camera.start()
    player = Player(rtmp.url(name))
    until(lambda: (found := stat(rtmp, name)) is not None and found.clients == 2 and found.bytes_out > 0, 5)
    found = stat(rtmp, name)
    assert found is not None
    assert found.publishing
    assert found.bytes_in >= found.bytes_out > 0
    camera.stop()
    player.join()
    until(lambda: stat(rtmp, name) is None, 5)


def statistics(server: RtmpServer, address: str) -> int:
    """The HTTP status of what the server answers somebody at this address who asks for its statistics."""
    asking = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=5, source_address=(address, 0))
    try:
        asking.request("GET", "/stat")
        return asking.getresponse().status
    finally:
        asking.close()


def test_whoever_has_another_address_neither_publishes_nor_plays_nor_reads_statistics(
    rtmp: RtmpServer, camera: SimulatedCamera, clip: Path, name: str
) -> None:
    with Elsewhere(rtmp.rtmp_port) as elsewhere:
        there = rtmp.url(name).replace(str(rtmp.rtmp_port), str(elsewhere.port))
        stranger = SimulatedCamera(name, clip, there)
        stranger.start()
        try:
            until(lambda: elsewhere.connections == 1 and stranger.pid is None, 10)
        finally:
            stranger.stop()
        assert not publishing(rtmp, name)
        camera.start()
        until(lambda: publishing(rtmp, name), 5)
        with pytest.raises(av.error.FFmpegError):
            av.open(there, options={"rtmp_live": "live"}, timeout=5)
        assert elsewhere.connections == 2
        player = Player(rtmp.url(name))
        until(player.playing.is_set, 10)
    assert (statistics(rtmp, "127.0.0.1"), statistics(rtmp, ADDRESS)) == (200, 403)
    camera.stop()
    player.join()


def test_killed_server_says_so_and_starts_again_on_its_ports(tmp_path: Path, clip: Path) -> None:
    with RtmpServer(tmp_path / "rtmp") as server:
        url = server.url("cam")
        (pid,) = server.pids()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not server.pids(), 5)
        with pytest.raises(ServerError, match="nginx has ended"):
            server.streams()
        server.start()
        assert server.url("cam") == url
        simulated = SimulatedCamera("cam", clip, url)
        simulated.start()
        try:
            until(lambda: publishing(server, "cam"), 5)
            server.restart()
            assert server.streams() == []
        finally:
            simulated.stop()
    assert server.pids() == []
    server.stop()


def test_server_ends_with_its_owner(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, tmp_path / "rtmp"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    nginx = psutil.Process(int(owner.stdout.readline()))
    assert nginx.is_running()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    nginx.wait(5)


_OWNER = """
import sys, time
from pathlib import Path
from raycctv.rtmp.server import RtmpServer
with RtmpServer(Path(sys.argv[1])) as server:
    print(*server.pids(), flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here is run by an ordinary user already")
def test_server_runs_as_an_ordinary_user() -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        shutil.chown(folder, nobody.pw_uid, nobody.pw_gid)
        child = os.fork()
        if child == 0:
            os._exit(_serve_as(nobody, folder))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        shutil.rmtree(folder)


def _serve_as(user: pwd.struct_passwd, folder: Path) -> int:
    """Exit status: 0 where it ran as that user."""
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    try:
        with RtmpServer(folder / "rtmp") as server:
            return 0 if [psutil.Process(pid).uids().real for pid in server.pids()] == [user.pw_uid] else 1
    except Exception as error:  # the other side of a fork must not go on in pytest
        os.write(2, f"{error}\n".encode())
        return 2


def test_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        for server in (RtmpServer(tmp_path, rtmp_port=port), RtmpServer(tmp_path, http_port=port)):
            with pytest.raises(ServerError, match=f"port {port} on 127.0.0.1 is in use"):
                server.start()
            assert server.pids() == []


def test_port_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="port 70000 is none"):
        RtmpServer(tmp_path, rtmp_port=70000).start()


def test_refusal_of_nginx_is_passed_on(tmp_path: Path) -> None:
    port = free_port()
    server = RtmpServer(tmp_path, rtmp_port=port, http_port=port)
    with pytest.raises(ServerError, match=rf"nginx does not run: .*127.0.0.1:{port}.*") as refused:
        server.start()
    assert "\n" not in str(refused.value)
    assert server.pids() == []


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match=r"file/rtmp: cannot be written"):
        RtmpServer(tmp_path / "file" / "rtmp").start()


def test_missing_nginx_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="apt install nginx libnginx-mod-rtmp"):
        find_nginx(str(tmp_path))
