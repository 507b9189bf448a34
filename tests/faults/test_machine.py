"""Faults of the machine below the pipeline: Ray gone as a whole, the wall clock set wrong, the disk full."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from faults.pipeline import GATE, MEASURED_S, Lost, Pipeline
from flv import PART_S, encoded, join
from ray.autoscaler._private.constants import RAY_PROCESSES
from support import NS, fill, until

from actors import cluster, names
from raycctv.clock import SystemClock
from raycctv.config import Camera, Config, Recording, Retention, StreamUrl
from raycctv.errors import CatalogError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.layout import incoming_dir, named_at_ns
from raycctv.recording.verify import verify
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.storage import Storage
from raycctv.types import Span

pytestmark = [
    pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.logs_errors, pytest.mark.usefixtures("weights")
]  # fmt: skip

HOUR_S = 3600
FULL_S = 30.0


def test_ray_that_is_stopped_by_force_costs_nothing(tmp_path: Path, clip: Path, lost: list[Lost]) -> None:
    with Pipeline(tmp_path, clip) as pipeline:
        with cluster.private_cluster(cpus=4):
            pipeline.begin()
            recorder = pipeline.recorder()["pid"]
            began_s = time.monotonic()
            stop_ray_by_force(recorder)
        with cluster.private_cluster(cpus=4):
            pipeline.deploy()
            pipeline.await_recording()
            again_s = time.monotonic() - began_s
            assert (pipeline.recorder()["pid"], pipeline.recorder()["starts"]) == (recorder, 0)
            pipeline.send(6)
            lost_s = pipeline.finish()
    lost.append(Lost("`ray stop --force`, and up again", pipeline.camera.online_s, lost_s, again_s))
    assert lost_s <= MEASURED_S


def stop_ray_by_force(recorder: int) -> None:
    """What ``ray stop --force`` does, but to our own processes: it would hit every Ray on this machine.

    It goes by what processes are called, so our recorder must not be called so. Source: Ray 2.60, scripts/scripts.py, ``stop``.
    """
    ours = [psutil.Process(recorder), *psutil.Process().children(recursive=True)]
    hit = [process for process in ours if _is_rays(process)]
    assert {"gcs_server", "raylet", "ray::Storage"} <= {process.name() for process in hit}
    for process in hit:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _is_rays(process: psutil.Process) -> bool:
    name, command = process.name(), " ".join(process.cmdline())
    return name == "gcs_server" or any(str(word) in (name if by_name else command) for word, by_name in RAY_PROCESSES)


class SteppedClock(SystemClock):
    """The system's wall clock, set wrong by hand: for who asks it, and under libfaketime for who reads ``file``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset_s = 0
        self.step(0)

    def now_ns(self) -> int:
        return super().now_ns() + self._offset_s * NS

    def step(self, seconds: int) -> None:
        """Forward, or back."""
        self._offset_s += seconds
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{self._offset_s:+d}\n")
        draft.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SteppedClock:
    """A clock that every ffmpeg started from now on goes by, too; only what the kernel writes (times of files) stays right."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    file, stepped = tmp_path / "clock", tmp_path / "bin" / "ffmpeg"
    stepped.parent.mkdir()
    settings = f"LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={file} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
    stepped.write_text(f'#!/bin/sh\nexec env {settings} {shutil.which("ffmpeg")} "$@"\n')
    stepped.chmod(0o755)
    monkeypatch.setenv("PATH", str(stepped.parent), prepend=os.pathsep)
    return SteppedClock(file)


@pytest.fixture
def camera(rtmp: RtmpServer, clip: Path) -> Iterator[SimulatedCamera]:
    simulated = SimulatedCamera(GATE, clip, rtmp.url("stepped"))
    yield simulated
    simulated.stop()


def test_clock_stepped_by_an_hour_costs_nothing(
    rtmp: RtmpServer, camera: SimulatedCamera, clock: SteppedClock, tmp_path: Path, lost: list[Lost]
) -> None:
    """An hour forward and an hour back, where footage is kept for half an hour."""
    keep = Retention.model_validate({"continuous": "30m", "min_free": "1B"})
    recording = Recording(root=tmp_path / "footage", segment_s=5, sweep_s=0.1, keep=keep)
    storage = Storage(Config(cameras={GATE: Camera(source=StreamUrl.parse(rtmp.url("stepped")))}, recording=recording), clock)
    storage.tick()
    camera.start()
    until(filed(storage, 2), 40, storage.tick)
    clock.step(HOUR_S)
    until(filed(storage, 4), 40, storage.tick)
    clock.step(-HOUR_S)
    until(filed(storage, 6), 40, storage.tick)
    camera.stop()
    until(lambda: storage.status()["recorders"][GATE]["pid"] is None, 10)
    storage.close(keep_recording=False)
    assert storage.status()["segments_deleted"] == 0
    assert storage.status()["recorders"][GATE]["starts"] == 1
    with Catalog(recording.root / CATALOG_NAME) as catalog:
        segments = catalog.segments()
        assert verify(catalog, recording.root).bad == []
    recorded_s = sum(segment.duration_ns for segment in segments) / NS
    ahead = [(named_at_ns(Path(segment.path).name) or 0) > time.time_ns() for segment in segments]
    lost_s = camera.online_s - recorded_s
    lost.append(Lost("clock an hour forward, then back", camera.online_s, lost_s))
    assert 2 <= sum(ahead) < len(ahead)
    assert lost_s <= MEASURED_S


def test_clock_set_back_while_nobody_files_overwrites_nothing(
    rtmp: RtmpServer, camera: SimulatedCamera, clock: SteppedClock, tmp_path: Path, lost: list[Lost]
) -> None:
    """By whole segments, so that the same seconds come again."""
    recording = Recording(root=tmp_path / "footage", segment_s=5)
    config = Config(cameras={GATE: Camera(source=StreamUrl.parse(rtmp.url("stepped")))}, recording=recording)
    storage = Storage(config, clock)
    storage.tick()
    camera.start()
    until(lambda: bool(storage.status()["recorders"][GATE]["recording"]), 20, storage.tick)
    storage.close(keep_recording=True)
    waiting = incoming_dir(recording.root, GATE)
    until(lambda: len(list(waiting.iterdir())) >= 3, 30)
    clock.step(-10)
    until(lambda: len(list(waiting.iterdir())) >= 6, 30)
    again = Storage(config, clock)
    until(filed(again, 5), 20, again.tick)
    camera.stop()
    until(lambda: again.status()["recorders"][GATE]["pid"] is None, 10)
    again.close(keep_recording=False)
    with Catalog(recording.root / CATALOG_NAME) as catalog:
        segments = catalog.segments()
        wrong = [one.problem for one in verify(catalog, recording.root).bad]
    assert all(problem.startswith("begins ") for problem in wrong), wrong  # those seconds were twice
    lost_s = camera.online_s - sum(segment.duration_ns for segment in segments) / NS
    lost.append(Lost("clock set back while no storage actor runs", camera.online_s, lost_s))
    assert len({named_at_ns(Path(segment.path).name) for segment in segments}) < len(segments)
    assert lost_s <= MEASURED_S


def test_change_of_resolution_costs_no_more_than_a_dead_recorder(rtmp: RtmpServer, tmp_path: Path, lost: list[Lost]) -> None:
    """Within one RTMP session, which MP4 cannot follow."""
    joined, recording = tmp_path / "joined.flv", Recording(root=tmp_path / "footage")
    join([encoded(tmp_path, width, ending="flv") for width in (640, 320)], joined)
    camera = SimulatedCamera(GATE, joined, rtmp.url("changing"))
    url = StreamUrl.parse(rtmp.url("changing"))
    storage = Storage(Config(cameras={GATE: Camera(source=url)}, recording=recording), SystemClock())
    storage.tick()
    camera.start()
    try:
        until(lambda: camera.online_s >= 2 * PART_S - 1, 30, storage.tick)
    finally:
        camera.stop()
    until(lambda: storage.status()["recorders"][GATE]["pid"] is None, 10)
    storage.close(keep_recording=False)
    with Catalog(recording.root / CATALOG_NAME) as catalog:
        segments = catalog.segments()
        assert verify(catalog, recording.root).bad == []
    lost_s = camera.online_s - sum(segment.duration_ns for segment in segments) / NS
    lost.append(Lost("camera changes its resolution (RTMP)", camera.online_s, lost_s))
    assert {segment.width_px for segment in segments} == {640, 320}
    assert lost_s <= 3 + MEASURED_S


def filed(storage: Storage, count: int) -> Callable[[], bool]:
    """Whether that many segments are in the catalog."""
    return lambda: bool(storage.status()["segments_filed"] >= count)


def test_full_disk_costs_the_time_that_it_is_full(tmp_path: Path, clip: Path, small_disk: Path, lost: list[Lost]) -> None:
    ballast = small_disk / "ballast"
    with Pipeline(tmp_path, clip, small_disk / "footage") as pipeline, cluster.private_cluster(cpus=4):
        seen = Seen(pipeline.root / CATALOG_NAME)
        pipeline.begin()
        until(lambda: len(seen.look()) >= 3, 40)
        with Catalog(pipeline.root / CATALOG_NAME) as catalog:
            kept = catalog.segments()[1]
            catalog.protect(Span(GATE, kept.started_at_ns + NS, kept.ended_at_ns - NS))
        began_s = time.monotonic()

        def somebody_else_writes() -> None:
            """As fast as rotation frees something."""
            seen.look()
            fill(ballast)

        until(lambda: time.monotonic() - began_s >= FULL_S, FULL_S + 10, somebody_else_writes)
        assert "No space left" in str(pipeline.status()[names.STORAGE]["errors"])
        ballast.unlink()
        full_s = time.monotonic() - began_s
        pipeline.await_recording()
        again_s = time.monotonic() - began_s - full_s
        pipeline.send(6)
        lost_s = pipeline.finish() - seen.gone_s()
    lost.append(Lost(f"disk full for {full_s:.0f} s", pipeline.camera.online_s, lost_s, again_s))
    assert (pipeline.root / kept.path).exists()
    assert seen.gone_s() > 0
    assert FULL_S / 2 < lost_s <= full_s + 3


class Seen:
    """Segments that were in the catalog at any time: what rotation has deleted is not lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._durations_s: dict[str, float] = {}

    def look(self) -> list[str]:
        """The paths of all until now."""
        with contextlib.suppress(CatalogError), Catalog(self._path, read_only=True) as catalog:
            self._durations_s |= {segment.path: segment.duration_ns / NS for segment in catalog.segments()}
        return list(self._durations_s)

    def gone_s(self) -> float:
        """Of what is there no more."""
        return sum(seconds for path, seconds in self._durations_s.items() if not (self._path.parent / path).exists())
