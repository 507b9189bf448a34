"""The catalog: several processes, crashes, damage."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import NS, T0_NS, event, segment

from raycctv.errors import CatalogError
from raycctv.recording.catalog import CATALOG_NAME, Catalog, Reconciled
from raycctv.recording.layout import filed_path
from raycctv.recording.schema import VERSION
from raycctv.search import parse
from raycctv.types import CameraName, Copy, Event, Span, Value

GATE = CameraName("gate")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / CATALOG_NAME) as opened:
        yield opened


def file_segment(root: Path, clip: Path, opened_ns: int = T0_NS) -> str:
    """A filed segment on disk; returns its path relative to the root."""
    path = filed_path(root, GATE, opened_ns)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(clip.read_bytes())
    return path.relative_to(root).as_posix()


def test_segments_are_found_by_camera_and_by_shared_time(catalog: Catalog) -> None:
    for start_s in (120, 0, 60):
        catalog.add_segment(segment("gate", start_s))
    catalog.add_segment(segment("yard", 0))
    assert [s.started_at_ns for s in catalog.segments(GATE)] == [T0_NS, T0_NS + 60 * NS, T0_NS + 120 * NS]
    assert catalog.segments(GATE, T0_NS + 60 * NS, T0_NS + 120 * NS) == [segment("gate", 60)]
    assert {s.camera for s in catalog.segments(to_ns=T0_NS + 1)} == {"gate", "yard"}
    assert catalog.sizes() == {"gate": 3000, "yard": 1000}


def test_segment_that_is_added_twice_is_one_row_with_the_last_facts(catalog: Catalog) -> None:
    catalog.add_segment(segment(size_bytes=1))
    catalog.add_segment(segment(size_bytes=2))
    assert catalog.segments() == [segment(size_bytes=2)]


def test_marked_segments_are_not_listed_and_are_dropped_after_their_files(catalog: Catalog) -> None:
    one, two = segment(start_s=0), segment(start_s=60)
    catalog.add_segment(one)
    catalog.add_segment(two)
    catalog.mark_deleting([one.path])
    assert catalog.segments() == [two]
    assert catalog.deleting() == [one.path]
    catalog.drop([one.path])
    assert catalog.deleting() == []


def test_event_keeps_its_picture_and_stays_ended(catalog: Catalog) -> None:
    catalog.put_event(event(snapshot="a.jpg"))
    catalog.put_event(event(end_s=5))
    assert catalog.event("e1") == event(end_s=5, snapshot="a.jpg")
    catalog.put_event(event())  # an old state, told again
    assert catalog.event("e1") == event(end_s=5, snapshot="a.jpg")
    assert catalog.unended_events(GATE) == []


def test_events_come_newest_first_by_camera_kind_time_and_number(catalog: Catalog) -> None:
    catalog.put_event(event("a", start_s=0, end_s=5))
    catalog.put_event(event("b", start_s=10, kind="motion"))
    catalog.put_event(event("c", start_s=20, camera="yard", end_s=30))
    assert [e.id for e in catalog.events()] == ["c", "b", "a"]
    assert [e.id for e in catalog.events(limit=1)] == ["c"]
    assert [e.id for e in catalog.events(GATE)] == ["b", "a"]
    assert [e.id for e in catalog.events(kind="motion")] == ["b"]
    assert [e.id for e in catalog.events(from_ns=T0_NS + 6 * NS)] == ["c", "b"]  # b goes on
    assert [e.id for e in catalog.events(to_ns=T0_NS + 10 * NS)] == ["a"]
    assert [e.id for e in catalog.unended_events(GATE)] == ["b"]
    assert catalog.event("none") is None


def test_what_is_open_and_when_a_camera_was_away_is_found_by_kind(catalog: Catalog) -> None:
    catalog.put_event(event("a", kind="camera_offline", start_s=0, end_s=5))
    catalog.put_event(event("b", kind="camera_offline", start_s=20))
    catalog.put_event(event("c", camera="yard", kind="camera_offline", start_s=10))
    catalog.put_event(event("d", start_s=0))
    assert [one.id for one in catalog.open_events("camera_offline")] == ["c", "b"]
    (b_from_ns, b_to_ns), a = catalog.offline(GATE, T0_NS)
    assert a == (T0_NS, T0_NS + 5 * NS)
    assert (b_from_ns, b_to_ns > T0_NS + 2 * 10**9 * NS) == (T0_NS + 20 * NS, True)
    assert len(catalog.offline(GATE, T0_NS + 6 * NS)) == 1


def test_recorded_stretches_end_after_the_instant(catalog: Catalog) -> None:
    for start_s in (60, 0, 120):
        catalog.add_segment(segment(start_s=start_s))
    catalog.add_segment(segment("yard", 0))
    catalog.mark_deleting([segment(start_s=120).path])
    assert catalog.recorded(GATE, T0_NS) == [(T0_NS, T0_NS + 60 * NS), (T0_NS + 60 * NS, T0_NS + 120 * NS)]
    assert catalog.recorded(GATE, T0_NS + 60 * NS) == [(T0_NS + 60 * NS, T0_NS + 120 * NS)]


def test_segments_of_an_event_are_those_that_show_it(catalog: Catalog) -> None:
    for start_s in (0, 60, 120):
        catalog.add_segment(segment(start_s=start_s))
    shown = catalog.segments_of(event(start_s=50, end_s=70))
    assert [s.started_at_ns for s in shown] == [T0_NS, T0_NS + 60 * NS]
    assert len(catalog.segments_of(event(start_s=70))) == 2  # it goes on


def write_events(path: Path, worker: int) -> None:
    with Catalog(path) as own:
        for number in range(50):
            own.put_event(event(f"{worker}-{number}"))


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_NAME
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_events, args=(path, worker)) for worker in range(3)]
    for writer in writers:
        writer.start()
    with Catalog(path) as reader:
        for writer in writers:
            writer.join(60)
            assert writer.exitcode == 0
        assert len(reader.events()) == 150


def test_read_only_catalog_neither_makes_nor_changes_one(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_NAME
    with pytest.raises(CatalogError, match="there is no catalog"):
        Catalog(path, read_only=True)
    assert list(tmp_path.iterdir()) == []
    Catalog(path).close()
    with Catalog(path, read_only=True) as reader, pytest.raises(CatalogError, match="readonly"):
        reader.add_segment(segment())


def test_catalog_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_NAME
    Catalog(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CatalogError, match=f"is of version 99, this raycctv knows {VERSION}"):
        Catalog(path)
    assert path.exists()


BACK_TO = {
    5: "DROP TRIGGER false_alarms_go_with_events; DROP TABLE false_alarms; PRAGMA user_version = 5;",
    4: "DROP TRIGGER words_of_new_event; DROP TRIGGER words_of_changed_event; DROP TRIGGER words_go_with_event;"
    "DROP TABLE event_words; PRAGMA user_version = 4;",
    3: "".join(
        f"DROP TRIGGER {name}; "
        for name in ("segment_comes", "segment_changes", "segment_goes", "event_comes", "event_changes")
    )
    + "".join(f"DROP INDEX {name}; " for name in ("segments_by_value", "events_by_length", "events_by_camera_and_end"))
    + "DROP TABLE footage; ALTER TABLE segments DROP COLUMN value; PRAGMA user_version = 3;",
    2: "DROP TRIGGER copies_go_with_segments; DROP TABLE copies; DROP INDEX events_by_end; PRAGMA user_version = 2;",
    1: "DROP TABLE protected; DROP INDEX segments_by_length; PRAGMA user_version = 1;",
}
"""What takes a catalog back to that version from the one after it."""


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_catalog_of_an_older_version_is_brought_up_to_date_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    path = tmp_path / CATALOG_NAME
    span = Span(GATE, T0_NS, T0_NS + NS)
    with Catalog(path) as catalog:
        catalog.add_segment(segment())
        catalog.put_event(event())
        catalog.protect(span)
    with sqlite3.connect(path) as connection:
        for older in range(VERSION - 1, version - 1, -1):
            connection.executescript(BACK_TO[older])
    connection.close()
    with pytest.raises(CatalogError, match=f"is of version {version}, this raycctv knows {VERSION}; `raycctv up` brings it up"):
        Catalog(path, read_only=True)
    with Catalog(path) as catalog:
        assert (catalog.segments(), catalog.events()) == ([segment()], [event()])
        assert catalog.protected() == ([span] if version > 1 else [])
        assert catalog.sizes() == {GATE: segment().size_bytes}
        assert list(catalog.oldest(GATE, Value.EVENT)) == [segment()]
        assert catalog.events(search=parse("person zone:door")) == [event()]
        assert catalog.due_copies(0, 0) == [segment()]
        catalog.add_copy(Copy(segment().path, 1000, "ab", T0_NS))
        assert catalog.false_alarms(["e1"]) == set()
        assert catalog.due_copies(0, 0) == []
    Catalog(path, read_only=True).close()


def test_protected_spans_are_kept_until_released(catalog: Catalog) -> None:
    one, two = Span(GATE, T0_NS, T0_NS + NS), Span(GATE, T0_NS + 5 * NS, T0_NS + 9 * NS)
    for span in (two, one, one):
        catalog.protect(span)
    assert catalog.protected() == [one, two]
    assert catalog.release(Span(CameraName("yard"), T0_NS, T0_NS + 9 * NS)) == 0
    assert catalog.release(Span(GATE, T0_NS, T0_NS + 8 * NS)) == 1  # two goes on longer
    assert catalog.protected() == [two]


def test_rescan_describes_all_footage_anew_and_keeps_events_and_protection(
    tmp_path: Path, clip: Path, catalog: Catalog
) -> None:
    path = file_segment(tmp_path, clip)
    catalog.reconcile(tmp_path)
    catalog.put_event(event())
    catalog.protect(Span(GATE, T0_NS, T0_NS + NS))
    catalog.add_segment(segment(path=path, size_bytes=1))  # somebody has put wrong facts in
    assert catalog.rescan(tmp_path) == Reconciled(inserted=1, dropped=0, deletions_finished=0)
    assert catalog.segments()[0].size_bytes == (tmp_path / path).stat().st_size
    assert (len(catalog.events()), len(catalog.protected())) == (1, 1)


@pytest.mark.logs_errors
def test_file_that_is_no_database_is_put_aside_and_the_footage_described_anew(tmp_path: Path, clip: Path) -> None:
    path = file_segment(tmp_path, clip)
    (tmp_path / CATALOG_NAME).write_bytes(b"no database at all" * 1000)
    with Catalog(tmp_path / CATALOG_NAME) as catalog:
        assert catalog.reconcile(tmp_path) == Reconciled(inserted=1, dropped=0, deletions_finished=0)
        (found,) = catalog.segments()
    assert (found.path, found.codec, found.width_px, found.height_px) == (path, "h264", 640, 360)
    assert found.started_at_ns == T0_NS
    assert found.duration_ns == pytest.approx(10 * NS, rel=0.01)
    assert found.size_bytes == (tmp_path / path).stat().st_size
    assert [p.name for p in tmp_path.glob("*.damaged*")] == [f"{CATALOG_NAME}.damaged"]


@pytest.mark.logs_errors
def test_catalog_that_is_damaged_while_open_says_so_and_is_made_anew_at_the_next_start(tmp_path: Path, clip: Path) -> None:
    file_segment(tmp_path, clip)
    path = tmp_path / CATALOG_NAME
    with Catalog(path) as catalog:
        catalog.reconcile(tmp_path)
        for number in range(200):
            catalog.put_event(event(f"e{number}"))
    with sqlite3.connect(path) as connection:  # what says which tables there are stays, so that opening it succeeds
        pages = connection.execute("SELECT pgoffset, pgsize FROM dbstat WHERE name <> 'sqlite_schema'").fetchall()
    connection.close()
    data = bytearray(path.read_bytes())
    for offset, size in pages:
        data[offset : offset + size] = b"\xff" * size
    path.write_bytes(data)
    with Catalog(path) as catalog:
        with pytest.raises(CatalogError, match="is damaged"):
            catalog.events()
        assert catalog.reconcile(tmp_path).inserted == 1
        assert len(catalog.segments()) == 1


def test_catalog_that_is_deleted_while_open_is_made_anew(tmp_path: Path, catalog: Catalog) -> None:
    catalog.add_segment(segment())
    for path in tmp_path.glob(f"{CATALOG_NAME}*"):
        path.unlink()
    catalog.add_segment(segment(start_s=60))
    assert catalog.segments() == [segment(start_s=60)]
    with Catalog(tmp_path / CATALOG_NAME) as other:
        assert other.segments() == [segment(start_s=60)]


def test_reconcile_settles_what_a_crash_left(tmp_path: Path, clip: Path, catalog: Catalog) -> None:
    unlisted = file_segment(tmp_path, clip, T0_NS)  # crash between rename and insert
    marked = file_segment(tmp_path, clip, T0_NS + 60 * NS)  # crash between mark and unlink
    gone = segment(path="gate/2023-11-14/gate_20231114T230000Z.mp4")  # somebody deleted the file
    catalog.add_segment(segment(start_s=60, path=marked))
    catalog.add_segment(gone)
    catalog.mark_deleting([marked])
    assert catalog.reconcile(tmp_path) == Reconciled(inserted=1, dropped=1, deletions_finished=1)
    assert [s.path for s in catalog.segments()] == [unlisted]
    assert catalog.deleting() == []
    assert not (tmp_path / marked).exists()
    assert catalog.reconcile(tmp_path) == Reconciled(0, 0, 0)


def test_reconcile_leaves_out_a_file_that_does_not_play(tmp_path: Path, catalog: Catalog) -> None:
    path = filed_path(tmp_path, GATE, T0_NS)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"nothing")
    assert catalog.reconcile(tmp_path).inserted == 0
    assert path.exists()


def test_row_that_cannot_be_written_is_written_with_the_next(tmp_path: Path, catalog: Catalog) -> None:
    with sqlite3.connect(tmp_path / CATALOG_NAME) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON segments BEGIN SELECT raise(ABORT, 'disk full'); END")
        other.commit()
        with pytest.raises(CatalogError, match="disk full"):
            catalog.add_segment(segment(start_s=0))
        other.execute("DROP TRIGGER full")
    other.close()
    catalog.add_segment(segment(start_s=60))
    assert len(catalog.segments()) == 2


def test_false_alarm_is_marked_kept_and_taken_back(catalog: Catalog) -> None:
    for number in range(4):
        catalog.put_event(event(f"e{number}", start_s=number))
    catalog.mark_false_alarm("e1", T0_NS, "anna")
    catalog.mark_false_alarm("e1", T0_NS + 1, "budi")
    catalog.mark_false_alarm("e3", T0_NS, "anna")
    catalog.put_event(event("e1", start_s=1, end_s=9))  # a later state says nothing of that
    assert catalog.false_alarms(["e0", "e1", "e2"]) == {"e1"}
    assert [found.id for found in catalog.events(false_alarm=True)] == ["e3", "e1"]
    assert [found.id for found in catalog.events(false_alarm=False)] == ["e2", "e0"]
    catalog.unmark_false_alarm("e1")
    assert catalog.false_alarms(["e1", "e3"]) == {"e3"}


def test_events_are_read_page_by_page_though_many_begin_at_once(catalog: Catalog) -> None:
    for number in range(10):
        catalog.put_event(event(f"e{number}", start_s=number // 4))
    everything = catalog.events()
    pages: list[list[str]] = []
    last: Event | None = None
    while page := catalog.events(limit=3, before=last):
        pages.append([found.id for found in page])
        last = page[-1]
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [found_id for page_ids in pages for found_id in page_ids] == [found.id for found in everything]


def test_spans_join_what_follows_without_a_gap_and_keep_cameras_apart(catalog: Catalog) -> None:
    starts = {"gate": (0, 60, 120.8, 200, 3600), "yard": (30, 91.5)}
    for camera, begun in starts.items():
        for start_s in begun:
            catalog.add_segment(segment(camera, start_s))
    found = catalog.spans(T0_NS + 10 * NS, T0_NS + 250 * NS)
    in_s = {camera: [((a - T0_NS) / NS, (b - T0_NS) / NS) for a, b in spans] for camera, spans in found.items()}
    assert in_s == {"gate": [(0, 180.8), (200, 260)], "yard": [(30, 90), (91.5, 151.5)]}
    assert catalog.spans(T0_NS + 4000 * NS, T0_NS + 5000 * NS) == {}
