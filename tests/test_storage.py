"""One machine's disk side, with real recorders and relays."""

import contextlib
import hashlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from stores import HangingStore
from support import NS, T0_NS, event, fill, segment, until

from raycctv.clock import ManualClock, SystemClock
from raycctv.config import Camera, Config, Recording, Retention, StreamUrl
from raycctv.errors import CatalogError, RecordingError
from raycctv.events import health
from raycctv.process import DetachedProcess
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.recorder import RUN_DIR
from raycctv.recording.verify import verify
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.storage import Storage
from raycctv.types import CameraName, Event, Span

Open = Callable[..., Storage]


@pytest.fixture
def open_storage(rtmp: RtmpServer, tmp_path: Path) -> Iterator[Open]:
    """Storage for cameras of those names; whatever recorders it leaves are ended."""
    made: list[Storage] = []

    def start(*names: str, emit: Callable[[Event], None] = lambda _: None, **recording: object) -> Storage:
        settings = Recording.model_validate({"root": tmp_path / "footage", "segment_s": 5, "sweep_s": 0.1, **recording})
        some = cameras_called(rtmp, *names or ("none",))
        config = Config(cameras=some, recording=settings)
        made.append(Storage(config if names else config.model_copy(update={"cameras": {}}), SystemClock(), emit))
        return made[-1]

    yield start
    for file in (tmp_path / "footage" / RUN_DIR).glob("*.pid"):
        left = DetachedProcess.adopt(file.stem, file.parent)
        if left is not None:
            left.stop(2)


@pytest.fixture
def camera(rtmp: RtmpServer, clip: Path) -> Iterator[SimulatedCamera]:
    simulated = SimulatedCamera("cam", clip, rtmp.url("storage-cam"))
    simulated.start()
    yield simulated
    simulated.stop()


def pids(storage: Storage) -> list[int]:
    return [recorder["pid"] for recorder in storage.status()["recorders"].values() if recorder["pid"]]


def test_recorders_start_in_batches(open_storage: Open) -> None:
    storage = open_storage("a", "b", "c", start_batch=2)
    storage.tick()
    assert len(pids(storage)) == 2
    storage.tick()
    assert len(pids(storage)) == 3
    storage.close(keep_recording=False)
    assert pids(storage) == []


def test_recorders_outlive_storage_and_its_next_life_adopts_them(
    camera: SimulatedCamera, open_storage: Open, tmp_path: Path
) -> None:
    first = open_storage("storage-cam")
    assert first.recording == []
    until(lambda: first.recording == ["storage-cam"], 10, first.tick)
    first.close(keep_recording=True)
    second = open_storage("storage-cam")
    second.tick()
    assert pids(second) == pids(first)
    assert second.status()["recorders"]["storage-cam"]["starts"] == 0
    until(lambda: second.status()["segments_filed"] >= 1, 15, second.tick)
    assert second.status()["recorders"]["storage-cam"]["coverage_24h"] > 0.95
    second.close(keep_recording=False)
    with Catalog(tmp_path / "footage" / CATALOG_NAME, read_only=True) as catalog:
        segments = catalog.segments()
    assert sum(segment.duration_ns for segment in segments) / NS == pytest.approx(camera.online_s, abs=1.5)
    assert all((tmp_path / "footage" / segment.path).stat().st_size == segment.size_bytes for segment in segments)


def cameras_called(rtmp: RtmpServer, *names: str, **settings: object) -> dict[CameraName, Camera]:
    return {CameraName(name): Camera.model_validate({"source": rtmp.url(name), **settings}) for name in names}


def test_cameras_come_and_go_and_no_other_recorder_notices(open_storage: Open, rtmp: RtmpServer) -> None:
    storage = open_storage("stays", "goes")
    storage.tick()
    before = {name: recorder["pid"] for name, recorder in storage.status()["recorders"].items()}
    storage.record(cameras_called(rtmp, "stays", "comes", keep={"event": "90d"}, masks={"tree": [[0, 0], [1, 0], [1, 1]]}))
    storage.tick()
    after = {name: recorder["pid"] for name, recorder in storage.status()["recorders"].items()}
    assert after.keys() == {"stays", "comes"}
    assert after["stays"] == before["stays"]  # what is analysed, and how long it is kept, is nothing to its recorder
    assert after["comes"] is not None
    until(lambda: not psutil.pid_exists(before["goes"]), 5)
    moved = {CameraName("stays"): Camera(source=StreamUrl.parse(rtmp.url("elsewhere")))}
    storage.record(moved)
    storage.tick()
    (recorder,) = storage.status()["recorders"].values()
    assert recorder["pid"] not in (None, before["stays"])
    storage.record({})
    assert storage.status()["recorders"] == {}
    until(lambda: not psutil.pid_exists(recorder["pid"]), 5)
    storage.close(keep_recording=False)


def test_recorder_that_was_left_for_a_camera_of_another_node_is_ended_and_filed(
    camera: SimulatedCamera, open_storage: Open, rtmp: RtmpServer, tmp_path: Path
) -> None:
    first = open_storage("storage-cam")
    until(lambda: first.status()["recorders"]["storage-cam"]["recording"], 10, first.tick)
    (pid,) = pids(first)
    first.close(keep_recording=True)
    second = open_storage()
    second.record(cameras_called(rtmp, "other"))
    until(lambda: not psutil.pid_exists(pid), 5)
    second.close(keep_recording=False)
    with Catalog(tmp_path / "footage" / CATALOG_NAME, read_only=True) as catalog:
        assert {segment.camera for segment in catalog.segments()} == {"storage-cam"}


def test_killed_recorder_is_started_again(camera: SimulatedCamera, open_storage: Open) -> None:
    storage = open_storage("storage-cam")
    until(lambda: storage.status()["recorders"]["storage-cam"]["recording"], 10, storage.tick)
    (pid,) = pids(storage)
    os.kill(pid, signal.SIGKILL)
    until(lambda: pids(storage) not in ([], [pid]), 5, storage.tick)
    storage.close(keep_recording=False)


def test_rotation_keeps_footage_within_its_budget(camera: SimulatedCamera, open_storage: Open, tmp_path: Path) -> None:
    storage = open_storage("storage-cam", keep=Retention.model_validate({"max_size": 1, "min_free": "1B"}))
    until(lambda: storage.status()["segments_deleted"] >= 2, 30, storage.tick)
    storage.close(keep_recording=False)
    with Catalog(tmp_path / "footage" / CATALOG_NAME, read_only=True) as catalog:
        kept = {segment.path for segment in catalog.segments()}
    assert {path.relative_to(tmp_path / "footage").as_posix() for path in tmp_path.glob("footage/*/2*/*.mp4")} == kept
    assert len(kept) <= 1  # what was filed when the recorder was stopped


@pytest.mark.logs_errors
def test_camera_whose_folder_breaks_hinders_no_other(open_storage: Open, tmp_path: Path) -> None:
    storage = open_storage("a", "b")
    incoming = tmp_path / "footage" / "a" / "incoming"
    incoming.rmdir()
    incoming.touch()
    storage.tick()
    errors = storage.status()["errors"]
    assert any("recording.root" in words for words in errors.values()), errors
    assert len(pids(storage)) == 1
    incoming.unlink()
    storage.tick()
    assert storage.status()["errors"] == {}
    assert len(pids(storage)) == 2
    storage.close(keep_recording=False)


def test_folder_that_cannot_be_written_is_named(rtmp: RtmpServer) -> None:
    cameras = {CameraName("a"): Camera(source=StreamUrl.parse(rtmp.url("a")))}
    with pytest.raises(RecordingError, match=r"recording\.root: /proc/footage cannot be written"):
        Storage(Config(cameras=cameras, recording=Recording(root=Path("/proc/footage"))), SystemClock())


def test_relays_run_beside_recorders_and_end_with_them(rtmp: RtmpServer, clip: Path, tmp_path: Path) -> None:
    """A file stands for the camera; tests/capture/test_relay.py has real ones."""
    camera = Camera(source=StreamUrl.parse(rtmp.url("relayed")), pull=StreamUrl.parse(f"file://{clip}"))
    config = Config(cameras={CameraName("relayed"): camera}, recording=Recording(root=tmp_path / "footage"))
    storage = Storage(config, SystemClock())
    until(lambda: storage.status()["recorders"]["relayed"]["recording"], 15, storage.tick)
    status = storage.status()["relays"]["relayed"]
    assert status["starts"] == 1
    storage.close(keep_recording=False)
    assert storage.status()["relays"]["relayed"]["pid"] is None


def test_catalog_that_is_deleted_meanwhile_is_made_anew_from_the_files(
    camera: SimulatedCamera, open_storage: Open, tmp_path: Path
) -> None:
    storage = open_storage("storage-cam")
    until(lambda: storage.status()["segments_filed"] >= 2, 20, storage.tick)
    path = tmp_path / "footage" / CATALOG_NAME
    with Catalog(path) as catalog:
        before = catalog.segments()
    for file in path.parent.glob(f"{CATALOG_NAME}*"):
        file.unlink()

    def listed() -> bool:
        try:
            with Catalog(path, read_only=True) as catalog:
                return {one.path for one in before} <= {one.path for one in catalog.segments()}
        except CatalogError:
            return False

    until(listed, 15, storage.tick)
    storage.close(keep_recording=False)


class Aging:
    """One segment that begins at T0, kept for so long, and nothing that records."""

    def __init__(self, root: Path, clip: Path, clock: ManualClock, kept: str) -> None:
        self._clock = clock
        self._path = root / segment(path="gate/2023-11-14/gate_20231114T221320Z.mp4").path
        self._path.parent.mkdir(parents=True)
        shutil.copy(clip, self._path)
        camera = Camera(source=StreamUrl.parse("rtmp://127.0.0.1/live/gate"), record=False)
        keep = Retention.model_validate({"continuous": kept, "min_free": "1B"})
        recording = Recording(root=root, sweep_s=30, keep=keep)
        self.storage = Storage(Config(cameras={CameraName("gate"): camera}, recording=recording), clock)

    def lives(self, seconds: int) -> bool:
        """Whether it is there after that time."""
        for _ in range(seconds // 30):
            self._clock.advance(30)
            self.storage.tick()
        return self._path.exists()


def test_clock_that_is_stepped_forward_deletes_nothing_before_an_hour_has_passed(tmp_path: Path, clip: Path) -> None:
    """An hour too far, and back, and again."""
    clock = ManualClock(T0_NS)
    footage = Aging(tmp_path / "footage", clip, clock, "30m")
    clock.step(3600)
    assert footage.lives(600)
    clock.step(-3600)
    assert footage.lives(600)
    clock.step(3600)
    assert footage.lives(300)
    assert not footage.lives(600)  # 35 minutes old in truth
    footage.storage.close(keep_recording=False)


def test_clock_that_is_wrong_when_storage_starts_deletes_nothing_before_an_hour_has_passed(tmp_path: Path, clip: Path) -> None:
    clock = ManualClock(T0_NS + 10 * 86400 * NS)
    footage = Aging(tmp_path / "footage", clip, clock, "5d")
    assert footage.lives(3540)
    assert not footage.lives(120)  # it has stood for an hour: the machine may have been off for ten days
    footage.storage.close(keep_recording=False)


def record_event(root: Path) -> None:
    """An object that is before the camera now, and stays."""
    with Catalog(root / CATALOG_NAME) as catalog:
        seen = replace(event(camera="storage-cam"), started_at_ns=SystemClock().now_ns())
        catalog.put_event(seen)


@pytest.mark.slow
@pytest.mark.logs_errors
def test_event_footage_is_copied_once_the_store_is_there(camera: SimulatedCamera, open_storage: Open, tmp_path: Path) -> None:
    root, second = tmp_path / "footage", tmp_path / "second"
    storage = open_storage("storage-cam", copy_events={"to": second, "pre_roll": 0})
    until(lambda: storage.status()["segments_filed"] >= 2, 20, storage.tick)
    record_event(root)
    until(lambda: storage.status()["segments_filed"] >= 4, 20, storage.tick)
    until(lambda: "there is no such folder" in storage.status()["errors"].get("second copy", ""), 20, storage.tick)
    assert (storage.status()["segments_copied"], storage.status()["copies_owed"] > 0) == (0, True)
    second.mkdir()
    until(lambda: storage.status()["segments_copied"] >= 2, 20, storage.tick)
    until(lambda: storage.status()["errors"] == {}, 10, storage.tick)
    storage.close(keep_recording=False)
    with Catalog(root / CATALOG_NAME, read_only=True) as catalog:
        first, *_ = segments = catalog.segments()
        copies = {copy.path: copy for copy in catalog.copies()}
    assert first.path not in copies  # before the event
    assert {path.relative_to(second).as_posix() for path in second.rglob("*.mp4")} == copies.keys()
    assert copies.keys() < {segment.path for segment in segments}
    for path, copy in copies.items():
        data = (second / path).read_bytes()
        assert data == (root / path).read_bytes()
        assert (copy.size_bytes, copy.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.fixture
def hanging_store() -> Iterator[str]:
    yield f"{HangingStore.opened().protocol}://store/footage"
    HangingStore.released.set()


@pytest.mark.slow
def test_store_that_hangs_delays_neither_filing_nor_rotation_nor_the_end(
    camera: SimulatedCamera,
    clip: Path,
    open_storage: Open,
    hanging_store: str,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    room_for_three = Retention.model_validate({"max_size": clip.stat().st_size * 2, "min_free": "1B"})
    storage = open_storage("storage-cam", copy_events={"to": hanging_store}, keep=room_for_three)
    record_event(tmp_path / "footage")
    until(lambda: storage.status()["copies_owed"] > 0, 30, storage.tick)
    until(lambda: "goes without a second copy" in caplog.text, 40, storage.tick)
    filed = storage.status()["segments_filed"]
    until(lambda: storage.status()["segments_filed"] > filed, 20, storage.tick)
    assert storage.status()["segments_copied"] == 0
    storage.close(keep_recording=False)


class Told:
    """Takes events into the catalog, as the sink does."""

    def __init__(self, root: Path) -> None:
        self.states: list[Event] = []
        self._path = root / CATALOG_NAME

    def __call__(self, event: Event) -> None:
        self.states.append(event)
        with contextlib.suppress(CatalogError), Catalog(self._path) as catalog:  # its disk may be full
            catalog.put_event(event)

    def ids(self) -> list[tuple[str, bool]]:
        """Ids in the order of their telling, and whether the event had ended."""
        return [(state.id, state.ended_at_ns is not None) for state in self.states]


@pytest.mark.logs_errors
def test_footage_that_is_not_written_while_the_camera_sends_is_an_event_over_two_lives(
    camera: SimulatedCamera, open_storage: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "GAP_S", 4.0)
    root, told = tmp_path / "footage", Told(tmp_path / "footage")
    storage = open_storage("storage-cam", emit=told)
    until(lambda: storage.status()["segments_filed"] >= 1, 20, storage.tick)
    incoming = root / "storage-cam" / "incoming"
    kept = incoming.rename(root / "storage-cam" / "kept")
    incoming.touch()  # a file where the folder should be
    broken_ns = SystemClock().now_ns()
    os.kill(pids(storage)[0], signal.SIGKILL)
    until(lambda: bool(told.states), 20, storage.tick)
    (gap,) = told.states
    assert (gap.camera, gap.kind, gap.ended_at_ns) == ("storage-cam", "recording_gap", None)
    assert gap.started_at_ns == pytest.approx(broken_ns, abs=2 * NS)
    storage.close(keep_recording=True)
    incoming.unlink()
    again = open_storage("storage-cam", emit=told)
    again.tick()
    until(lambda: len(told.states) == 2, 20, again.tick)
    mended_ns = SystemClock().now_ns()
    assert told.ids() == [(gap.id, False), (gap.id, True)]
    assert told.states[1].ended_at_ns == pytest.approx(mended_ns, abs=3 * NS)
    for path in kept.iterdir():
        path.rename(incoming / path.name)
    until(lambda: again.status()["segments_filed"] >= 2, 20, again.tick)
    again.close(keep_recording=False)
    with Catalog(root / CATALOG_NAME) as catalog:
        (found,) = verify(catalog, root).cameras
    (missing,) = found.gaps
    assert missing.cause == "not_recorded"
    assert missing.from_ns == pytest.approx(gap.started_at_ns, abs=2 * NS)
    assert missing.to_ns == pytest.approx(told.states[1].ended_at_ns, abs=3 * NS)


def test_camera_that_is_away_leaves_no_gap(
    camera: SimulatedCamera, open_storage: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "GAP_S", 2.0)
    told = Told(tmp_path / "footage")
    storage = open_storage("storage-cam", emit=told)
    until(lambda: storage.status()["recorders"]["storage-cam"]["recording"], 20, storage.tick)
    away = replace(event("away", "storage-cam", "camera_offline"), started_at_ns=SystemClock().now_ns())
    told(away)
    camera.stop()
    until(lambda: SystemClock().now_ns() > away.started_at_ns + 6 * NS, 20, storage.tick)
    assert told.states == [away]
    told(replace(away, ended_at_ns=SystemClock().now_ns()))
    until(lambda: len(told.states) > 2, 20, storage.tick)  # it should be here, and nothing comes
    assert told.states[2].kind == "recording_gap"
    assert told.states[2].started_at_ns == pytest.approx(told.states[1].ended_at_ns, abs=2 * NS)
    storage.close(keep_recording=False)
    assert told.ids()[3:] == [(told.states[2].id, True)]


@pytest.mark.logs_errors
def test_full_disk_takes_the_oldest_footage_spares_what_is_protected_and_records_on(
    camera: SimulatedCamera, open_storage: Open, small_disk: Path
) -> None:
    root = small_disk / "footage"
    told = Told(root)
    storage = open_storage("storage-cam", root=root, sweep_s=3600, emit=told)
    until(lambda: storage.status()["segments_filed"] >= 2, 20, storage.tick)
    with Catalog(root / CATALOG_NAME) as catalog:
        first, second, *_ = catalog.segments()
        catalog.protect(Span(second.camera, first.ended_at_ns + NS, second.ended_at_ns - NS))
    ballast = small_disk / "ballast"
    fill(ballast)
    assert storage.status()["free_bytes"] == 0
    until(lambda: not (root / first.path).exists(), 10, storage.tick)

    def look_while_somebody_else_writes() -> None:
        storage.tick()
        fill(ballast)

    until(lambda: "No space left" in str(storage.status()["errors"]), 30, look_while_somebody_else_writes)
    assert (root / second.path).exists()
    until(lambda: told.states[-1:] != [] and told.states[-1].kind == "disk_low", 30, look_while_somebody_else_writes)
    low = told.states[-1]
    assert (low.camera, low.ended_at_ns) == ("*", None)
    assert "min_free is" in low.why
    ballast.unlink()
    until(lambda: (low.id, True) in told.ids(), 10, storage.tick)
    until(lambda: storage.status()["recorders"]["storage-cam"]["recording"], 20, storage.tick)
    filed = storage.status()["segments_filed"]
    until(lambda: storage.status()["segments_filed"] > filed, 20, storage.tick)
    until(lambda: storage.status()["errors"] == {}, 10, storage.tick)
    camera.stop()
    storage.close(keep_recording=False)
    with Catalog(root / CATALOG_NAME) as catalog:
        assert verify(catalog, root).bad == []
        assert second.path in {segment.path for segment in catalog.segments()}
