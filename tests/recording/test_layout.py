from pathlib import Path

import pytest
from support import NS, T0_NS

from raycctv.errors import RecordingError
from raycctv.recording.layout import claim, filed_files, filed_path, free_path, make_writable, named_at_ns, remove_file
from raycctv.types import CameraName

GATE = CameraName("gate")


def test_segment_is_named_by_camera_and_utc_second(tmp_path: Path) -> None:
    path = filed_path(tmp_path, GATE, T0_NS)
    assert path == tmp_path / "gate" / "2023-11-14" / "gate_20231114T221320Z.mp4"
    assert named_at_ns(path.name) == T0_NS


def test_second_segment_of_a_second_takes_another_name_and_the_same_time(tmp_path: Path) -> None:
    first = filed_path(tmp_path, GATE, T0_NS)
    first.parent.mkdir(parents=True)
    first.touch()
    second = filed_path(tmp_path, GATE, T0_NS)
    assert second.name == "gate_20231114T221320Z-1.mp4"
    assert named_at_ns(second.name) == T0_NS


def test_summer_time_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    # 2024-10-27: local clocks show 02:30 twice
    names = {filed_path(tmp_path, GATE, 1_729_989_000 * NS + hour * 3600 * NS).name for hour in range(2)}
    assert names == {"gate_20241027T003000Z.mp4", "gate_20241027T013000Z.mp4"}


@pytest.mark.parametrize("name", ["gate.mp4", "gate_20241399T000000Z.mp4", "gate_20231114T221320Z.mp4.new", "notes.txt"])
def test_other_files_are_no_segments(name: str) -> None:
    assert named_at_ns(name) is None


def test_filed_files_are_those_in_day_folders(tmp_path: Path) -> None:
    filed = filed_path(tmp_path, GATE, T0_NS)
    for path in (filed, tmp_path / "gate" / "incoming" / filed.name, tmp_path / "gate" / "2023-11-14" / "notes.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert list(filed_files(tmp_path)) == [(GATE, filed)]


def test_free_path_counts_on(tmp_path: Path) -> None:
    for name in ("a.mp4", "a-1.mp4"):
        (tmp_path / name).touch()
    assert free_path(tmp_path / "a.mp4").name == "a-2.mp4"


def test_folder_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(RecordingError, match=r"recording\.root: .*gate cannot be written: Not a directory"):
        make_writable(tmp_path / "root" / "gate")


def test_folder_that_no_one_may_write_is_refused() -> None:
    with pytest.raises(RecordingError, match=r"recording\.root: /proc/raycctv cannot be written"):
        make_writable(Path("/proc/raycctv"))


def test_remove_file_is_idempotent_and_keeps_a_day_that_holds_more(tmp_path: Path) -> None:
    day = tmp_path / "gate" / "2023-11-14"
    day.mkdir(parents=True)
    for name in ("a.mp4", "b.mp4"):
        (day / name).touch()
    remove_file(tmp_path, "gate/2023-11-14/a.mp4")
    remove_file(tmp_path, "gate/2023-11-14/a.mp4")
    assert [path.name for path in day.iterdir()] == ["b.mp4"]
    remove_file(tmp_path, "gate/2023-11-14/b.mp4")
    assert not day.exists()


def test_folder_is_looked_after_by_one_alone(tmp_path: Path) -> None:
    held = claim(tmp_path)
    with pytest.raises(
        RecordingError, match=r"is looked after by another storage actor; nodes on one disk need \{node\} in it"
    ):
        claim(tmp_path, wait_s=0)
    held.close()
    claim(tmp_path, wait_s=0).close()
