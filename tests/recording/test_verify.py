"""What is wrong with footage is found, and what is right is not."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import NS, T0_NS, event

from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.filing import described
from raycctv.recording.layout import filed_path
from raycctv.recording.verify import verify
from raycctv.types import CameraName, Segment

GATE = CameraName("gate")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / CATALOG_NAME) as opened:
        yield opened


def filed(catalog: Catalog, clip: Path, start_s: int, data: bytes | None = None) -> Segment:
    root = catalog.path.parent
    path = filed_path(root, GATE, T0_NS + start_s * NS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(clip.read_bytes())
    made = described(root, GATE, path)
    catalog.add_segment(made)
    if data is not None:
        path.write_bytes(data)
    return made


def problems(catalog: Catalog, quick: bool = False) -> dict[str, str]:
    return {bad.path: bad.problem for bad in verify(catalog, catalog.path.parent, quick=quick).bad}


def test_whole_footage_is_found_whole(catalog: Catalog, clip: Path) -> None:
    for start_s in (0, 10, 20):
        filed(catalog, clip, start_s)
    looked: list[None] = []
    found = verify(catalog, catalog.path.parent, on_segment=lambda: looked.append(None))
    assert (found.segments, found.bad, len(looked)) == (3, [], 3)
    (camera,) = found.cameras
    assert (camera.camera, camera.share, camera.gaps) == ("gate", 1.0, [])


def test_gap_lowers_coverage(catalog: Catalog, clip: Path) -> None:
    for start_s in (0, 30):
        filed(catalog, clip, start_s)
    (camera,) = verify(catalog, catalog.path.parent).cameras
    assert camera.share == pytest.approx(0.5, abs=0.01)
    assert [gap.cause for gap in camera.gaps] == ["not_recorded"]


def test_time_in_which_the_camera_was_away_does_not_lower_coverage(catalog: Catalog, clip: Path) -> None:
    for start_s in (0, 50):
        filed(catalog, clip, start_s)
    catalog.put_event(event("a", kind="camera_offline", start_s=-20, end_s=2))  # recorded all the same, but for what was before
    catalog.put_event(event("b", kind="camera_offline", start_s=20, end_s=40))
    catalog.put_event(event("c", kind="recording_gap", start_s=10, end_s=20))
    catalog.put_event(event("d", kind="camera_offline", camera="yard", start_s=0))
    (camera,) = verify(catalog, catalog.path.parent).cameras
    assert camera.share == pytest.approx(20 / 40, abs=0.01)
    assert [(round((gap.from_ns - T0_NS) / NS), round((gap.to_ns - T0_NS) / NS), gap.cause) for gap in camera.gaps] == [
        (10, 20, "not_recorded"), (20, 40, "camera_offline"), (40, 50, "not_recorded")
    ]  # fmt: skip
    catalog.put_event(event("e", kind="camera_offline", start_s=11))  # it goes on
    (camera,) = verify(catalog, catalog.path.parent).cameras
    assert camera.share == pytest.approx(1, abs=0.001)


def test_file_that_is_gone_and_file_without_a_row_are_found(catalog: Catalog, clip: Path) -> None:
    gone, unlisted = filed(catalog, clip, 0), filed(catalog, clip, 10)
    (catalog.path.parent / gone.path).unlink()
    catalog.drop([unlisted.path])
    assert problems(catalog) == {
        gone.path: "is in the catalog, but there is no file",
        unlisted.path: "is not in the catalog; `raycctv recordings --rescan` takes it in",
    }


def test_damaged_pictures_are_found_by_decoding_and_not_by_parsing(catalog: Catalog, clip: Path) -> None:
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = os.urandom(4000)
    damaged = filed(catalog, clip, 0, bytes(data))
    assert "of its frames do not decode" in problems(catalog)[damaged.path]
    assert problems(catalog, quick=True) == {}


def test_file_that_was_cut_short_is_found(catalog: Catalog, clip: Path) -> None:
    whole = filed(catalog, clip, 0, clip.read_bytes()[:-5000])
    assert "bytes, its row says" in str(problems(catalog, quick=True)[whole.path]) or problems(catalog)[whole.path]


def test_rows_that_lie_are_found(catalog: Catalog, clip: Path) -> None:
    first, second = filed(catalog, clip, 0), filed(catalog, clip, 10)
    catalog.add_segment(replace(first, duration_ns=30 * NS))
    catalog.add_segment(replace(second, started_at_ns=second.started_at_ns + 100 * NS))
    assert problems(catalog) == {
        first.path: "lasts 10.00 s, its row says 30.00 s",
        second.path: "its name and its row differ in when it began",
    }


def test_segments_that_overlap_are_found(catalog: Catalog, clip: Path) -> None:
    filed(catalog, clip, 0)
    second = filed(catalog, clip, 5)
    assert problems(catalog) == {second.path: "begins 5.0 s before gate_20231114T221320Z.mp4 ends"}
