"""The components' logs: lines of JSON that hold what they should, and no password."""

import json
import logging
import subprocess
import sys
from pathlib import Path

from raycctv.sinks.component_log import Line, check

SPEAK = """
import logging, sys
from pathlib import Path
from raycctv.config import Logs
from raycctv.sinks.component_log import configure
configure("reader", sys.argv[2] or None, Logs(dir=Path(sys.argv[1]), component_max_size=1000, component_backups=2))
log = logging.getLogger("raycctv.live")
try:
    raise OSError("cannot open rtsp://admin:hunter2@cam/1")
except OSError:
    log.exception("reading rtmp://host/live/gate?key=hunter2 failed; %s", "ü")
for number in range(int(sys.argv[3])):
    log.info("line %d", number)
log.debug("nobody asked")
"""


def speak(folder: Path, camera: str = "gate", lines: int = 0) -> str:
    command = [sys.executable, "-c", SPEAK, str(folder), camera, str(lines)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_record_is_a_line_with_every_field_and_without_passwords(tmp_path: Path) -> None:
    text = speak(tmp_path / "log")
    (line,) = (json.loads(line) for line in (tmp_path / "log" / "reader-gate.jsonl").read_text().splitlines())
    assert set(line) == set(Line.model_fields)
    assert (line["level"], line["component"], line["camera"], line["kind"]) == ("error", "reader", "gate", "log")
    assert line["message"] == "reading rtmp://host/live/gate?key=*** failed; ü"
    assert "OSError: cannot open rtsp://admin:***@cam/1" in line["exception"]
    assert "ERROR raycctv.live: reading" in text


def test_component_that_serves_no_camera_alone_has_a_file_of_its_name(tmp_path: Path) -> None:
    speak(tmp_path, camera="")
    assert [path.name for path in tmp_path.iterdir()] == ["reader.jsonl"]


def test_log_is_rotated_and_every_line_is_as_documented(tmp_path: Path) -> None:
    speak(tmp_path, lines=40)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "reader-gate.jsonl",
        "reader-gate.jsonl.1",
        "reader-gate.jsonl.2",
    ]
    lines, bad = check(tmp_path)
    assert lines > 8
    assert bad == []


def test_line_that_is_none_of_ours_is_found(tmp_path: Path) -> None:
    speak(tmp_path)
    with (tmp_path / "reader-gate.jsonl").open("a") as file:
        file.write('{"time": 1}\n{"ha\n')
    (tmp_path / "events.jsonl").write_text("not asked about here\n")
    lines, bad = check(tmp_path)
    assert (lines, [where for where, _ in bad]) == (3, ["reader-gate.jsonl, line 2", "reader-gate.jsonl, line 3"])


def test_folder_that_cannot_be_written_costs_the_file_alone() -> None:
    assert "ERROR raycctv.live: reading" in speak(Path("/proc/nowhere"))


def test_documented_fields_are_those_of_a_line() -> None:
    document = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    described = document.split("**component log**")[1].split("\n- **")[0]
    assert all(f"{field}" in described for field in Line.model_fields)
    assert logging.getLevelName(logging.WARNING).lower() in described
