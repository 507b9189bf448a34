"""Second copies: which are due, and that only a whole one counts, whatever the store does."""

import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import BadStore, empty
from support import NS, T0_NS, event, segment

from raycctv.clock import ManualClock
from raycctv.errors import RecordingError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.copy import Store, copy_one, copy_round
from raycctv.types import HEALTH_KINDS, Copy, Event, Segment

PRE_S, POST_S = 10, 20
GO_ON = threading.Event()
CLOCK = ManualClock()


# -- which are due ----------------------------------------------------------


def due(catalog: Catalog, since_s: float = -1e6) -> list[str]:
    return [one.path for one in catalog.due_copies(PRE_S * NS, POST_S * NS, T0_NS + round(since_s * NS))]


def copied(path: str) -> Copy:
    return Copy(path, 1000, "ab" * 32, T0_NS)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / CATALOG_NAME) as opened:
        yield opened


def test_footage_of_an_object_and_its_rolls_is_due_until_copied(catalog: Catalog) -> None:
    segments = [segment(start_s=start_s) for start_s in range(0, 360, 60)]
    catalog.add_segments([*segments, segment("yard", 120)])
    catalog.put_event(event("m", kind="motion", start_s=10, end_s=20))
    catalog.put_event(event("p", start_s=125, end_s=170))  # with its rolls from 115 to 190 s
    paths = [one.path for one in segments]
    assert due(catalog) == paths[1:4]
    catalog.add_copy(copied(paths[2]))
    assert due(catalog) == [paths[1], paths[3]]
    assert due(catalog, since_s=171) == []
    assert due(catalog, since_s=170) == [paths[1], paths[3]]
    catalog.put_event(event("q", start_s=310))  # it goes on
    catalog.add_segment(segment(start_s=900))
    assert due(catalog, since_s=9000) == [*paths[5:], segment(start_s=900).path]


def shares_time(one: Segment, seen: Event) -> bool:
    began_ns = seen.started_at_ns - PRE_S * NS
    ended_ns = 1 << 62 if seen.ended_at_ns is None else seen.ended_at_ns + POST_S * NS
    return one.camera == seen.camera and one.ended_at_ns > began_ns and one.started_at_ns <= ended_ns


CAMERAS = st.sampled_from(["gate", "yard"])
SEGMENTS = st.lists(
    st.builds(segment, camera=CAMERAS, start_s=st.integers(0, 600), duration_s=st.integers(1, 90)),
    max_size=12,
    unique_by=lambda one: one.path,
)
EVENTS = st.lists(
    st.builds(
        lambda number, camera, kind, start_s, lasts_s: event(
            f"e{number}", camera, kind, start_s, None if lasts_s is None else start_s + lasts_s
        ),
        st.integers(0, 10**6), CAMERAS, st.sampled_from(["person", "car", "motion", *HEALTH_KINDS]), st.integers(0, 600),
        st.none() | st.integers(0, 60),
    ),
    max_size=4,
    unique_by=lambda one: one.id,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(SEGMENTS, EVENTS, st.sets(st.integers(0, 11)), st.integers(0, 700))
def test_due_is_what_shares_time_with_a_recent_object_and_was_not_copied(
    tmp_path_factory: pytest.TempPathFactory, segments: list[Segment], events: list[Event], done: set[int], since_s: int
) -> None:
    with Catalog(tmp_path_factory.mktemp("due") / CATALOG_NAME) as catalog:
        catalog.add_segments(segments)
        for one in events:
            catalog.put_event(one)
        has_copy = {one.path for number, one in enumerate(segments) if number in done}
        for path in has_copy:
            catalog.add_copy(copied(path))
        since_ns = T0_NS + since_s * NS
        objects = [e for e in events if e.kind in ("person", "car") and (e.ended_at_ns is None or e.ended_at_ns >= since_ns)]
        expected = [s for s in segments if s.path not in has_copy and any(shares_time(s, e) for e in objects)]
        assert due(catalog, since_s) == [s.path for s in sorted(expected, key=lambda s: (s.ended_at_ns, s.path))]


def test_row_of_a_copy_goes_with_its_segment(catalog: Catalog) -> None:
    one, two = segment(start_s=0), segment(start_s=60)
    catalog.add_segments([one, two])
    for path in (one.path, two.path, "gate/2023-11-14/deleted_meanwhile.mp4"):
        catalog.add_copy(copied(path))
    assert catalog.copies() == [copied(one.path), copied(two.path)]
    catalog.drop([one.path])
    assert catalog.copies() == [copied(two.path)]


# -- one copy ---------------------------------------------------------------


@pytest.fixture
def bad_store() -> Iterator[type[BadStore]]:
    yield BadStore.opened()
    empty()


@pytest.fixture
def second(tmp_path: Path) -> Path:
    folder = tmp_path / "second"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "footage"


def film(root: Path, start_s: int = 0, size_bytes: int = 3_000_000) -> Segment:
    """A segment with a file, of more than one chunk."""
    one = segment(start_s=start_s, size_bytes=size_bytes)
    (root / one.path).parent.mkdir(parents=True, exist_ok=True)
    (root / one.path).write_bytes(bytes((start_s + i) % 251 for i in range(1000)) * (size_bytes // 1000))
    return one


def read(to: str, path: str) -> bytes:
    with fsspec.open(f"{to}/{path}", "rb") as file:
        return bytes(file.read())


def names(to: str) -> list[str]:
    fs, folder = fsspec.core.url_to_fs(to)
    return sorted(name.removeprefix(f"{folder}/") for name in fs.find(folder))


@pytest.fixture(params=["folder", "file URL", "memory"])
def to(request: pytest.FixtureRequest, second: Path, bad_store: type[BadStore]) -> str:
    return {"folder": str(second), "file URL": f"file://{second}", "memory": "memory://bucket/footage"}[request.param]


def test_copy_holds_the_same_bytes_under_the_same_path(root: Path, to: str) -> None:
    one = film(root)
    made = copy_one(Store(to), root, one, CLOCK, GO_ON)
    assert read(to, one.path) == (root / one.path).read_bytes()
    assert names(to) == [one.path]
    assert (made.path, made.size_bytes, made.copied_at_ns) == (one.path, 3_000_000, CLOCK.now_ns())
    assert len(made.sha256) == 64


def test_whole_copy_that_is_there_counts_and_is_not_made_again(root: Path, bad_store: type[BadStore]) -> None:
    one = film(root)
    made = copy_one(Store("bad://b"), root, one, CLOCK, GO_ON)
    assert len(bad_store.written) == 1
    assert copy_one(Store("bad://b"), root, one, CLOCK, GO_ON) == made
    assert len(bad_store.written) == 1


@pytest.mark.parametrize("wrong", [b"", b"x" * 2_999_999, b"x" * 3_000_000])
def test_wrong_bytes_that_are_there_never_count(root: Path, to: str, wrong: bytes) -> None:
    one = film(root)
    with fsspec.open(f"{to}/{one.path}", "wb", **({"auto_mkdir": True} if "memory" not in to else {})) as file:
        file.write(wrong)
    copy_one(Store(to), root, one, CLOCK, GO_ON)
    assert read(to, one.path) == (root / one.path).read_bytes()
    assert names(to) == [one.path]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("refuses", "bad://b/{path}.part: Permission denied"),
        ("breaks", "bad://b/{path}.part: Connection reset by peer"),
        ("swallows", "{path}.part: what was read back is not what was written"),
        ("lies", "{path}.part: what was read back is not what was written"),
    ],
)
def test_copy_that_is_not_whole_does_not_count_and_the_next_try_is(
    root: Path, bad_store: type[BadStore], fault: str, message: str
) -> None:
    one = film(root)
    bad_store.fault, bad_store.times = fault, 1
    with pytest.raises(RecordingError) as caught:
        copy_one(Store("bad://b"), root, one, CLOCK, GO_ON)
    assert str(caught.value).startswith(message.format(path=one.path))
    assert one.path not in names("bad://b")
    copy_one(Store("bad://b"), root, one, CLOCK, GO_ON)
    assert read("bad://b", one.path) == (root / one.path).read_bytes()
    assert names("bad://b") == [one.path]


def test_store_that_loses_bytes_when_it_renames_is_found_out(
    root: Path, bad_store: type[BadStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(self: BadStore, old: str, new: str) -> None:
        self.store[new] = MemoryFile(self, new, self.store.pop(old).getvalue()[:-1])

    monkeypatch.setattr(bad_store, "mv", rename)
    with pytest.raises(RecordingError, match="was whole until it got its name"):
        copy_one(Store("bad://b"), root, film(root), CLOCK, GO_ON)


def test_segment_that_is_gone_and_folder_that_is_gone_are_said(root: Path, second: Path) -> None:
    one = film(root)
    (root / one.path).unlink()
    with pytest.raises(RecordingError, match=r"_0\.mp4: cannot be read: No such file or directory"):
        copy_one(Store(str(second)), root, one, CLOCK, GO_ON)
    with pytest.raises(RecordingError, match="nowhere: there is no such folder; make it, or mount its disk"):
        Store(f"{second}/nowhere")
    assert not (second / "nowhere").exists()


def test_copying_stops_between_two_chunks(root: Path, second: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(RecordingError, match="stopped"):
        copy_one(Store(str(second)), root, film(root), CLOCK, stop)
    assert not any(path.suffix == ".mp4" for path in second.rglob("*"))


# -- a round ----------------------------------------------------------------


def test_round_copies_a_batch_and_the_next_goes_on(root: Path, second: Path) -> None:
    segments = [film(root, start_s, 1000) for start_s in range(20)]
    noted: list[Copy] = []
    assert copy_round(Store(str(second)), root, segments, CLOCK, GO_ON, noted.append) == {}
    assert {one.path for one in noted} == {one.path for one in segments[:16]}
    assert copy_round(Store(str(second)), root, segments[16:], CLOCK, GO_ON, noted.append) == {}
    assert names(str(second)) == sorted(one.path for one in segments)


def test_failure_ends_a_round_and_leaves_the_rest_for_the_next(root: Path, bad_store: type[BadStore]) -> None:
    segments = [film(root, start_s, 1000) for start_s in range(12)]
    noted: list[Copy] = []
    bad_store.fault, bad_store.times = "breaks", 10**6
    failed = copy_round(Store("bad://b"), root, segments, CLOCK, GO_ON, noted.append)
    assert 1 <= len(failed) <= 4
    assert noted == []
    bad_store.times = 0
    assert copy_round(Store("bad://b"), root, segments, CLOCK, GO_ON, noted.append) == {}
    assert {one.path for one in noted} == {one.path for one in segments}
