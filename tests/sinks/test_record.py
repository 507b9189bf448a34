"""Each state of an event, once in the log and the catalog, however often it is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import NS, T0_NS, event, segment

from raycctv.clock import ManualClock
from raycctv.errors import CatalogError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.sinks import record
from raycctv.sinks.event_log import LOG_NAME, EventLog
from raycctv.sinks.record import EventRecorder
from raycctv.types import CameraName, Event

GATE = CameraName("gate")


class Sink:
    """A recorder and what it has written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = Catalog(folder / CATALOG_NAME)
        self.clock = ManualClock(T0_NS)
        self.recorder = EventRecorder(folder, EventLog(folder, 10**6, 3), self.catalog, self.clock)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / LOG_NAME).read_text().splitlines()]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    made = Sink(tmp_path)
    yield made
    made.recorder.close()
    made.recorder.close()


def test_begin_and_end_are_a_line_each_and_one_row(sink: Sink) -> None:
    sink.catalog.add_segment(segment())
    sink.recorder.record(event(), b"jpeg")
    sink.recorder.record(event(end_s=5), None)
    begun, ended = sink.lines()
    assert (begun["ended_at"], ended["ended_at"]) == (None, "2023-11-14T22:13:25.000Z")
    assert begun["snapshot"] == ended["snapshot"] == "snapshots/2023-11-14/e1.jpg"
    assert ended["segments"] == [segment().path]
    assert sink.catalog.events() == [event(end_s=5, snapshot="snapshots/2023-11-14/e1.jpg")]


def test_state_that_is_told_again_is_recorded_once(sink: Sink) -> None:
    for told in (event(), event(), event(end_s=5), event(end_s=5), event()):
        sink.recorder.record(told, b"jpeg")
    assert [line["ended_at"] is None for line in sink.lines()] == [True, False]


def test_better_picture_at_the_end_replaces_the_first(sink: Sink) -> None:
    sink.recorder.record(event(), b"first")
    sink.recorder.record(event(end_s=5), b"better")
    (kept,) = sink.catalog.events()
    assert kept.snapshot is not None
    assert (sink.folder / kept.snapshot).read_bytes() == b"better"


def test_what_is_open_of_cameras_of_others_ends_here_and_servers_are_not_told(sink: Sink) -> None:
    posted: list[str] = []
    recorder = EventRecorder(
        sink.folder, EventLog(sink.folder, 10**6, 3), sink.catalog, sink.clock, lambda told, _: posted.append(told.id)
    )
    recorder.record(event("mine"), None)
    recorder.record(event("theirs", "yard"), None)
    recorder.record(event("replica", "door"), None, post=False)
    recorder.record(event("gap", "yard", kind="recording_gap"), None)
    recorder.record(event("disk", "*", kind="disk_low"), None)
    sink.clock.advance(9)
    recorder.release([GATE, CameraName("door")])
    ended = {told.id: told for told in sink.catalog.events() if told.ended_at_ns is not None}
    assert ended.keys() == {"theirs"}
    assert ended["theirs"].ended_at_ns == T0_NS + 9 * NS
    assert ended["theirs"].why.endswith("another node keeps the camera's events")
    assert posted == ["mine", "theirs", "gap", "disk"]


def test_event_without_its_picture_is_better_than_none(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    (sink.folder / "snapshots").touch()
    sink.recorder.record(event(), b"jpeg")
    assert sink.lines()[0]["snapshot"] is None
    assert "cannot be written" in caplog.text


class Broken(Catalog):
    """A catalog whose disk is full until it is not."""

    full = True

    def put_event(self, event: Event) -> None:
        if self.full:
            raise CatalogError("catalog.sqlite3: database or disk is full")
        super().put_event(event)


def test_states_wait_for_a_disk_that_is_full_and_are_written_in_order(sink: Sink) -> None:
    catalog = Broken(sink.folder / CATALOG_NAME)
    recorder = EventRecorder(sink.folder, EventLog(sink.folder, 10**6, 3), catalog, sink.clock)
    for told in (event("a"), event("b", start_s=1), event("a", end_s=9)):
        with pytest.raises(CatalogError):
            recorder.record(told, None)
    assert recorder.owed == 3
    catalog.full = False
    recorder.settle()
    assert (recorder.owed, recorder.lost) == (0, 0)
    assert [(one.id, one.ended_at_ns is None) for one in sink.catalog.events()] == [("b", True), ("a", False)]
    recorder.close()


@pytest.mark.logs_errors
def test_states_that_wait_are_bounded_and_what_is_given_up_is_counted(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_OWED_MAX", 2)
    catalog = Broken(sink.folder / CATALOG_NAME)
    recorder = EventRecorder(sink.folder, EventLog(sink.folder, 10**6, 3), catalog, sink.clock)
    for number in range(3):
        with pytest.raises(CatalogError):
            recorder.record(event(f"e{number}", start_s=number), None)
    assert (recorder.owed, recorder.lost) == (2, 1)
    catalog.full = False
    recorder.settle()
    assert {one.id for one in sink.catalog.events()} == {"e1", "e2"}
    recorder.close()


def test_catalog_that_fails_leaves_the_line_in_the_log_and_is_told_again(sink: Sink) -> None:
    broken = EventRecorder(sink.folder, EventLog(sink.folder, 10**6, 3), Broken(sink.folder / CATALOG_NAME), sink.clock)
    with pytest.raises(CatalogError):
        broken.record(event(), None)
    broken.close()
    assert len(sink.lines()) == 1
    sink.recorder.record(event(), None)  # as Ray does when the sink has died in between
    assert [line["id"] for line in sink.lines()] == ["e1", "e1"]
    assert len(sink.catalog.events()) == 1


def test_gap_is_not_a_readers_to_end(sink: Sink) -> None:
    sink.recorder.record(event("gap", kind="recording_gap"), None)
    sink.recorder.record(event("away", kind="camera_offline"), None)
    sink.recorder.abandon(GATE)
    found = {one.id: one.ended_at_ns is not None for one in sink.catalog.events()}
    assert found == {"gap": False, "away": True}


def test_events_of_a_reader_that_died_have_ended(sink: Sink) -> None:
    sink.recorder.record(event("a"), None)
    sink.recorder.record(event("b", camera="yard"), None)
    sink.recorder.record(event("c", start_s=1, end_s=2), None)
    sink.clock.advance(30)
    sink.recorder.abandon(GATE)
    sink.recorder.abandon(GATE)
    found = {one.id: one for one in sink.catalog.events()}
    assert found["a"].ended_at_ns == T0_NS + 30 * NS
    assert found["a"].why == "a test; ended because the camera's reader started anew"
    assert found["b"].ended_at_ns is None
    assert found["c"].ended_at_ns == T0_NS + 2 * NS
    assert len(sink.lines()) == 4
