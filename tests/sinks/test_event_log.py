"""The event log: whole lines, whatever happens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import event

from raycctv.errors import RecordingError
from raycctv.sinks.event_log import LOG_NAME, EventLog, to_json, write_snapshot

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from raycctv.errors import RecordingError
from raycctv.sinks.event_log import EventLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
log = EventLog(Path(sys.argv[1]), 10**6, 3)
log.write({"n": 1, "text": "x" * 50})
try:
    log.write({"n": 2, "text": "x" * 50})
except RecordingError as error:
    print(error)
"""


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_event_is_one_json_object_with_every_field() -> None:
    assert to_json(event(end_s=5), ["gate/a.mp4"]) == {
        "id": "e1",
        "camera": "gate",
        "kind": "person",
        "category": "object",
        "started_at": "2023-11-14T22:13:20.000Z",
        "ended_at": "2023-11-14T22:13:25.000Z",
        "labels": {"person": 0.8},
        "zones": ["door"],
        "box": [10, 20, 60, 120],
        "score": 0.8,
        "segments": ["gate/a.mp4"],
        "model": "ssdlite_mobilenet_v2",
        "snapshot": None,
        "why": "a test",
    }


def test_lines_are_appended_over_restarts(tmp_path: Path) -> None:
    for n in range(3):
        log = EventLog(tmp_path / "log", 10**6, 3)
        log.write({"n": n})
        log.close()
        log.close()
    assert [line["n"] for line in lines(tmp_path / "log" / LOG_NAME)] == [0, 1, 2]


def test_log_is_rotated_by_size_and_loses_no_line_until_the_last_backup_goes(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 100, 3)
    for n in range(50):
        log.write({"n": n, "text": "x" * 20})
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG_NAME, *(f"{LOG_NAME}.{n}" for n in (1, 2, 3))]
    newest_last = [tmp_path / f"{LOG_NAME}.{n}" for n in (3, 2, 1)] + [tmp_path / LOG_NAME]
    assert all(path.stat().st_size <= 100 for path in newest_last)
    kept = [line["n"] for path in newest_last for line in lines(path)]
    assert kept == list(range(50))[-len(kept) :]


def test_half_line_of_a_crash_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).write_bytes(b'{"n": 0}\n{"n": 1, "te')
    log = EventLog(tmp_path, 10**6, 3)
    log.write({"n": 2})
    log.close()
    first, half, last = (tmp_path / LOG_NAME).read_text().splitlines()
    assert (json.loads(first), json.loads(last)) == ({"n": 0}, {"n": 2})
    assert half == '{"n": 1, "te'


def test_full_disk_is_an_error_and_leaves_no_half_line(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: writes fall short and fail in the same way."""
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
    assert f"{LOG_NAME}: the disk is full" in done.stdout
    assert [line["n"] for line in lines(tmp_path / LOG_NAME)] == [1]


def test_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(RecordingError, match=r"logs\.dir: /proc/nowhere cannot be written"):
        EventLog(Path("/proc/nowhere"), 100, 1)


def test_snapshot_is_replaced_whole(tmp_path: Path) -> None:
    one = event()
    path = write_snapshot(tmp_path, one, b"first")
    assert path == "snapshots/2023-11-14/e1.jpg"
    assert write_snapshot(tmp_path, one, b"second") == path
    assert (tmp_path / path).read_bytes() == b"second"
    assert [file.name for file in (tmp_path / path).parent.iterdir()] == ["e1.jpg"]


def test_snapshot_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "snapshots").touch()
    with pytest.raises(RecordingError, match=r"e1\.jpg: cannot be written"):
        write_snapshot(tmp_path, event(), b"jpeg")
