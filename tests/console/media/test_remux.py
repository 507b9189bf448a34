"""Live streams for many viewers: one ffmpeg, whatever viewers and cameras do."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest
from footage import frame_times_s, probed, remuxes
from servers.rtsp import PASSWORD, RtspCamera, missing_for_rtsp

from raycctv.config import StreamUrl
from raycctv.console.media import remux
from raycctv.console.media.remux import Remux, Streams, Viewer, remux_command
from raycctv.errors import StreamError
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import CameraName

GATE = CameraName("gate")


@pytest.fixture
def url(rtmp: RtmpServer, request: pytest.FixtureRequest) -> str:
    return rtmp.url(request.node.name)


@pytest.fixture
def camera(clip: Path, url: str) -> Iterator[SimulatedCamera]:
    simulated = SimulatedCamera("gate", clip, url)
    yield simulated
    simulated.stop()


def with_streams(url: str, use: Callable[[Streams], Awaitable[None]]) -> None:
    """Run ``use`` with the streams of a camera; afterwards none of their processes runs."""

    async def run() -> None:
        streams = Streams(lambda _: StreamUrl.parse(url))
        async with asyncio.timeout(60):
            try:
                await use(streams)
            finally:
                await streams.close()
        assert streams.running == {}

    before = remuxes()
    asyncio.run(run())
    assert remuxes() <= before


async def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


async def seen(viewer: Viewer, fragments: int, into: Path | None = None) -> bytes:
    """What a viewer gets: the header and so many fragments."""
    parts: list[bytes] = []
    with contextlib.suppress(StopAsyncIteration):
        async with contextlib.aclosing(viewer.parts()) as coming:
            async for part in coming:
                parts.append(part)
                if len(parts) > fragments:
                    break
    if into is not None:
        into.write_bytes(b"".join(parts))
    return b"".join(parts)


def test_viewer_gets_a_film_that_begins_with_a_keyframe_at_0(camera: SimulatedCamera, url: str, tmp_path: Path) -> None:
    async def use(streams: Streams) -> None:
        async with streams.watch(GATE) as (init, viewer):
            assert init.codec.startswith("avc1.")
            await seen(viewer, 12, tmp_path / "first.mp4")
            async with streams.watch(GATE) as (_, late):
                await seen(late, 8, tmp_path / "late.mp4")

    camera.start()
    with_streams(url, use)
    for name in ("first.mp4", "late.mp4"):
        found = probed(tmp_path / name)
        assert found["video"]["width"] == 640
        times_s = frame_times_s(tmp_path / name)
        assert times_s[0] == pytest.approx(0, abs=0.1)
        assert len(times_s) > 15  # every frame decodes, so that the first is a keyframe


def test_end_that_is_asked_for_twice_is_not_interrupted(camera: SimulatedCamera, url: str) -> None:
    """As when the console ends and, with that, its last viewer goes."""

    async def use(streams: Streams) -> None:
        del streams
        live = Remux(GATE, StreamUrl.parse(url))
        await live.began()
        pid = live.pid
        assert pid is not None
        first = asyncio.create_task(live.close())
        await asyncio.sleep(0)  # the first has begun to end it
        await asyncio.sleep(0)
        await live.close()
        await first
        assert not psutil.pid_exists(pid)

    camera.start()
    with_streams(url, use)


def test_many_viewers_are_one_process_and_the_last_ends_it(camera: SimulatedCamera, url: str) -> None:
    async def use(streams: Streams) -> None:
        before = remuxes()
        async with contextlib.AsyncExitStack() as looking:
            watched = await asyncio.gather(*(looking.enter_async_context(streams.watch(GATE)) for _ in range(10)))
            assert streams.running == {GATE: 10}
            pids = remuxes() - before
            assert pids == {streams.pid(GATE)}
            contents = await asyncio.gather(*(seen(viewer, 6) for _, viewer in watched))
            assert all(len(content) > 10_000 for content in contents)
        assert streams.running == {}
        (pid,) = pids
        await until(lambda: not psutil.pid_exists(pid))

    camera.start()
    with_streams(url, use)


def test_viewer_that_never_reads_is_cut_and_holds_up_nobody(
    camera: SimulatedCamera, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remux, "WAITING_MAX_BYTES", 200_000)

    async def use(streams: Streams) -> None:
        async with streams.watch(GATE) as (_, idle), streams.watch(GATE) as (_, good):
            reading = asyncio.create_task(seen(good, 100_000))
            await asyncio.wait_for(idle.over.wait(), 40)
            assert not good.over.is_set()
            assert idle._waiting_bytes < 400_000
            assert not idle._waiting  # nothing is kept for it
            reading.cancel()

    camera.start()
    with_streams(url, use)


def test_camera_that_goes_ends_the_streams_and_is_shown_again_when_it_returns(
    camera: SimulatedCamera, url: str, tmp_path: Path
) -> None:
    async def use(streams: Streams) -> None:
        async with streams.watch(GATE) as (_, viewer):
            await seen(viewer, 2)
            await asyncio.to_thread(camera.stop)
            await asyncio.wait_for(viewer.over.wait(), 20)
        with pytest.raises(StreamError, match="gate: "):
            async with streams.watch(GATE):
                pass
        camera.start()
        async with streams.watch(GATE) as (_, viewer):
            await seen(viewer, 6, tmp_path / "again.mp4")

    camera.start()
    with_streams(url, use)
    assert len(frame_times_s(tmp_path / "again.mp4")) > 10


def test_remux_that_dies_ends_its_viewers_and_the_next_one_starts_another(camera: SimulatedCamera, url: str) -> None:
    async def use(streams: Streams) -> None:
        async with streams.watch(GATE) as (_, viewer):
            first = streams.pid(GATE)
            assert first is not None
            os.kill(first, 9)
            await asyncio.wait_for(viewer.over.wait(), 10)
            async with streams.watch(GATE):
                assert streams.pid(GATE) not in (None, first)

    camera.start()
    with_streams(url, use)


def test_viewer_who_leaves_before_the_first_picture_ends_it(url: str) -> None:
    async def use(streams: Streams) -> None:
        async def look() -> None:
            async with streams.watch(GATE):
                raise AssertionError("a camera that is away shows something")

        waiting = asyncio.create_task(look())
        await until(lambda: streams.pid(GATE) is not None)
        pid = streams.pid(GATE)
        assert pid is not None
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert streams.running == {}
        await until(lambda: not psutil.pid_exists(pid))

    with_streams(url, use)


def test_source_that_is_not_there_is_an_error_without_its_password() -> None:
    async def use(streams: Streams) -> None:
        with pytest.raises(StreamError) as raised:
            async with streams.watch(GATE):
                pass
        assert "secret" not in str(raised.value)
        assert "gate" in str(raised.value)

    with_streams("rtmp://user:secret@127.0.0.1:9/live/none", use)


def test_sound_that_mp4_cannot_hold_becomes_aac(clip: Path, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.mkv"
    tone = ["-f", "lavfi", "-i", "sine=duration=10:sample_rate=8000", "-c:v", "copy", "-c:a", "pcm_alaw"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *tone, spoken], check=True)

    async def use(streams: Streams) -> None:
        async with streams.watch(GATE) as (init, viewer):
            assert init.codec.endswith(",mp4a.40.2")
            await seen(viewer, 10, tmp_path / "seen.mp4")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remux, "protocol_options", lambda _: {"re": None})
        with_streams(f"file://{spoken}", use)
    assert probed(tmp_path / "seen.mp4")["audio"]["codec_name"] == "aac"


def test_camera_by_rtsp_is_shown(clip: Path, tmp_path: Path) -> None:
    if missing_for_rtsp():
        pytest.skip(f"no RTSP server: {missing_for_rtsp()}; scripts/system_packages.sh test installs it")
    served = RtspCamera(clip)
    served.start()

    async def use(streams: Streams) -> None:
        async with streams.watch(GATE) as (_, viewer):
            await seen(viewer, 6, tmp_path / "seen.mp4")

    with_streams(served.url().reveal(), use)
    served.stop()
    assert len(frame_times_s(tmp_path / "seen.mp4")) > 10


def test_command_holds_no_shell_and_copies() -> None:
    command = remux_command(StreamUrl.parse(f"rtsp://user:{PASSWORD}@camera/1"))
    assert command[0] == "ffmpeg"
    assert command[command.index("-c:v") + 1] == "copy"
    assert "tcp" in command
