"""What every command does with what is wrong, and that all of them are documented."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from support import NS, T0_NS, event, segment, until
from typer.testing import CliRunner, Result

from raycctv.cli.main import app
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.sinks.event_log import to_json
from raycctv.types import CameraName

REPOSITORY = Path(__file__).parents[2]


def commands() -> Iterator[tuple[str, ...]]:
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        yield from ((name, sub) for sub in inner) if inner else [(name,)]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shell(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """As a user types it: with the exit status and what errors become."""
    command = [sys.executable, "-c", "from raycctv.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_command_teaches_itself_and_is_in_the_readme(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    text = re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─]", " ", result.stdout))
    assert len(text) > 200
    for option in re.findall(r" --[a-z-]+ (.{3})", text):
        assert option.strip(), f"an option of {command} has no help"
    assert f"`raycctv {' '.join(command)}" in (REPOSITORY / "README.md").read_text()


def test_catalog_is_that_of_the_only_node_that_records_here_or_must_be_named(tmp_path: Path) -> None:
    config = tmp_path / "cameras.yaml"
    config.write_text(f"cameras: {{gate: {{source: 'rtmp://h/l/gate'}}}}\nrecording: {{root: '{tmp_path}/{{node}}/footage'}}\n")
    done = shell("recordings", "-c", config)
    assert (done.returncode, "each has a catalog of its own" in done.stderr) == (2, True)
    for node in ("one", "two"):
        (tmp_path / node / "footage").mkdir(parents=True)
        with Catalog(tmp_path / node / "footage" / CATALOG_NAME) as catalog:
            catalog.put_event(event(f"e-{node}"))
        if node == "one":
            assert json.loads(shell("events", "-c", config, "--json").stdout)["id"] == "e-one"
    done = shell("events", "-c", config)
    assert done.returncode == 2
    assert "several nodes record here; choose one: --root" in done.stderr
    assert json.loads(shell("events", "--root", tmp_path / "two" / "footage", "--json").stdout)["id"] == "e-two"


def test_version_is_printed() -> None:
    assert run("--version").stdout.startswith("raycctv 0.")


# -- check ------------------------------------------------------------------


def write(folder: Path, text: str) -> Path:
    path = folder / "cameras.yaml"
    path.write_text(text)
    return path


def test_check_of_a_valid_file_lists_its_cameras(tmp_path: Path) -> None:
    path = write(tmp_path, "cameras: {gate: {source: 'rtsp://admin:hunter2@cam/s'}}\n")
    result = run("check", path, "--json")
    assert result.exit_code == 0
    (camera,) = json.loads(result.stdout)["cameras"]
    assert (camera["camera"], camera["source"], camera["recorded"]) == ("gate", "rtsp://admin:***@cam/s", True)
    table = run("check", path)
    assert table.exit_code == 0
    assert "hunter2" not in table.output
    assert "admin:***@cam" in table.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras: {a: {sorce: 'rtmp://h/l/a'}}", "cameras.a.sorce: unknown key; did you mean 'source'?"),
        ("cameras: {a: {source: 'http://h/l/a'}}", "'http://h/l/a' is no stream; write one like rtsp://host/path"),
        ("cameras: {a: {source: 'rtsp://u:${NO_SUCH}@h/s'}}", "cameras.a.source: the environment variable NO_SUCH is not set"),
        ("cameras: {a/b: {source: 'rtmp://h/l/a'}}", "'a/b' is no name: use letters, digits"),
        ("cameras: {..: {source: 'rtmp://h/l/a'}}", "'..' is no name: use letters, digits"),
        ("cameras: [", "line 1, column 11"),
    ],
)
def test_check_names_what_is_wrong_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    done = shell("check", write(tmp_path, text))
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert message in done.stdout
    answer = json.loads(shell("check", tmp_path / "cameras.yaml", "--json").stdout)
    assert answer["valid"] is False
    assert message in answer["error"]


def test_probe_says_what_a_camera_sends_and_why_another_does_not(
    tmp_path: Path, rtmp: RtmpServer, clip: Path, free_port: int
) -> None:
    sound = tmp_path / "sound.mp4"
    tone = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(sound)]
    subprocess.run(tone, check=True)
    camera = SimulatedCamera("live", clip, rtmp.url("probed"))
    camera.start()
    path = write(
        tmp_path,
        f"""cameras:
  live: {{source: '{rtmp.url("probed")}'}}
  gone: {{source: 'rtmp://admin:hunter2@127.0.0.1:{free_port}/live/gone'}}
  silent: {{source: 'file://{sound}'}}
""",
    )
    try:
        until(lambda: camera.online_s > 0, 10)
        result = run("check", path, "--probe", "--json")
    finally:
        camera.stop()
    assert result.exit_code == 1
    live, gone, silent = json.loads(result.stdout)["cameras"]
    assert (live["codec"], live["width"], live["height"], live["fps"]) == ("h264", 640, 360, 15)
    assert "Connection refused" in gone["error"]
    assert "hunter2" not in result.output
    assert "holds no video (audio only)" in silent["error"]


# -- analyze ----------------------------------------------------------------


def test_analyze_finds_people_and_says_so_as_documented(weights: Path, shared_data: Path, tmp_path: Path) -> None:
    clip = shared_data / "clips" / "one-by-one-person-detection.mp4"
    result = run("analyze", clip, "--json", "--out", tmp_path)
    assert result.exit_code == 0
    (file,) = json.loads(result.stdout)["files"]
    assert file.keys() == {"file", "frames", "decoded_frames", "media_s", "cpu_s", "wall_s", "events"}
    assert [found["kind"] for found in file["events"]] == ["person"] * 6
    for found in file["events"]:
        assert {"id", "camera", "labels", "zones", "box", "score", "segments", "model", "why"} < found.keys()
        assert 0 <= found["start_s"] < found["end_s"] <= file["media_s"]
        assert cv2.imread(str(tmp_path / clip.stem / f"{found['id']}.jpg")) is not None


def test_analyze_writes_masks_of_every_frame_in_its_size(weights: Path, clip: Path, tmp_path: Path) -> None:
    result = run("analyze", clip, "--masks", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    masks = sorted((tmp_path / clip.stem).glob("*.png"))
    assert [mask.name for mask in masks] == [f"{index:06}.png" for index in range(150)]
    still, moving = (cv2.imread(str(masks[index]), cv2.IMREAD_UNCHANGED) for index in (15, 60))
    assert still is not None
    assert moving is not None
    assert still.shape == moving.shape == (360, 640)
    assert not still.any()
    assert set(np.unique(moving)) == {0, 255}
    rows, columns = np.nonzero(moving)
    assert 190 <= rows.min() <= rows.max() <= 290  # the block stands at 200 to 280
    assert columns.max() - columns.min() < 200


def test_analyze_goes_on_after_what_is_no_video(weights: Path, clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video" * 100)
    done = shell("analyze", text, clip, "--json")
    assert done.returncode == 1
    broken, whole = json.loads(done.stdout)["files"]
    assert "Invalid data" in broken["error"]
    assert (broken["frames"], whole["frames"]) == (0, 150)


def test_analyze_masks_without_a_folder_is_a_wrong_use(clip: Path) -> None:
    done = shell("analyze", clip, "--masks")
    assert done.returncode == 2
    assert "--masks needs --out" in done.stderr


# -- events and recordings --------------------------------------------------


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    with Catalog(tmp_path / CATALOG_NAME) as catalog:
        for start_s in (0, 60):
            catalog.add_segment(segment("gate", start_s))
        catalog.add_segment(segment("yard", 0))
        catalog.put_event(event("a", start_s=10, end_s=70))
        catalog.put_event(event("b", camera="yard", kind="motion", start_s=20))
    return tmp_path


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_events_are_json_lines_newest_first(footage: Path) -> None:
    newest, oldest = lines(run("events", "--root", footage, "--json"))
    assert (newest["id"], newest["kind"], newest["ended_at"]) == ("b", "motion", None)
    assert oldest["segments"] == [segment("gate", 0).path, segment("gate", 60).path]
    assert oldest["labels"] == {"person": 0.8}


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--camera", "gate"], ["a"]),
        (["--kind", "motion"], ["b"]),
        (["--limit", "1"], ["b"]),
        (["--since", "2023-11-14T22:14:31Z"], ["b"]),
        (["--until", "2023-11-14T22:13:40Z"], ["a"]),
        (["--since", "1h"], ["b"]),
    ],
)
def test_events_are_chosen(footage: Path, options: list[str], ids: list[str]) -> None:
    assert [line["id"] for line in lines(run("events", "--root", footage, "--json", *options))] == ids


def test_events_say_which_are_false_alarms(footage: Path) -> None:
    with Catalog(footage / CATALOG_NAME) as catalog:
        catalog.mark_false_alarm("a", T0_NS, "anna")
    found = {line["id"]: line["false_alarm"] for line in lines(run("events", "--root", footage, "--json"))}
    assert found == {"b": False, "a": True}
    assert [line["id"] for line in lines(run("events", "--root", footage, "--json", "--false-alarms"))] == ["a"]


def test_recordings_are_a_line_a_segment_or_a_row_a_camera(footage: Path) -> None:
    found = lines(run("recordings", "--root", footage, "--camera", "gate", "--json"))
    assert [line["started_at"] for line in found] == ["2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z"]
    assert found[0].keys() == {
        "camera",
        "path",
        "started_at",
        "ended_at",
        "duration_s",
        "size_bytes",
        "codec",
        "width",
        "height",
    }
    table = run("recordings", "--root", footage).stdout
    assert re.search(r"gate\s+2\s+2023-11-14T22:13:20", table)
    assert re.search(r"yard\s+1\s", table)


def test_footage_is_protected_by_hand_and_the_plan_knows(footage: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "cameras: {gate: {source: 'rtmp://h/l/a'}}\nrecording: {root: ., keep: {event: 1d, min_free: 1B}}\n")
    planned = lines(run("recordings", "-c", path, "--plan", "--json"))
    assert {line["path"] for line in planned} == {one.path for one in (segment(), segment(start_s=60), segment("yard"))}
    assert all("footage is kept for" in line["reason"] for line in planned)
    protected = run("recordings", "-c", path, "--keep", "gate", "2023-11-14T22:13:25Z", "2023-11-14T22:13:30Z")
    assert "22:13:30.000Z: 1 segments so far" in protected.stdout
    assert segment().path not in {line["path"] for line in lines(run("recordings", "-c", path, "--plan", "--json"))}
    assert "2 segments would be deleted now" in run("recordings", "-c", path, "--plan").stdout
    released = run("recordings", "-c", path, "--release", "gate", "2023-11-14T22:00:00Z", "2023-11-14T23:00:00Z")
    assert "released 1 protected spans" in released.stdout
    assert len(lines(run("recordings", "-c", path, "--plan", "--json"))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "gate", "2h", "3h"], "'3h' is not after '2h'"),
        (["--keep", "gate", "soon", "3h"], "'soon' is neither an ISO 8601 time nor an age"),
        (["--rescan", "--plan"], "choose one of --plan, --keep, --release and --rescan"),
    ],
)
def test_recordings_used_wrong(footage: Path, options: list[str], message: str) -> None:
    result = run("recordings", "--root", footage, *options)
    assert result.exit_code == 2
    assert message in " ".join(re.sub("[│╭╮╰╯─]", " ", result.output).split())


def test_rescan_lists_what_lies_on_the_disk(tmp_path: Path, clip: Path) -> None:
    Catalog(tmp_path / CATALOG_NAME).close()
    day = tmp_path / "gate" / "2023-11-14"
    day.mkdir(parents=True)
    (day / "gate_20231114T221320Z.mp4").write_bytes(clip.read_bytes())
    assert run("recordings", "--root", tmp_path, "--rescan").stdout == "1 segments found\n"
    assert [line["started_at"] for line in lines(run("recordings", "--root", tmp_path, "--json"))] == [
        "2023-11-14T22:13:20.000Z"
    ]


@pytest.mark.parametrize("command", ["events", "recordings"])
def test_folder_without_recordings_is_a_wrong_use(command: str, tmp_path: Path) -> None:
    done = shell(command, "--root", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path} holds no recordings of raycctv: there is no {CATALOG_NAME}\n"
    assert list(tmp_path.iterdir()) == []


def test_time_that_is_none_is_a_wrong_use(footage: Path) -> None:
    done = shell("events", "--root", footage, "--since", "yesterday")
    assert done.returncode == 2
    assert "'yesterday' is neither an ISO 8601 time nor an age" in " ".join(re.sub("[│╭╮╰╯─]", " ", done.stderr).split())


def test_reading_the_catalog_does_not_change_it(footage: Path) -> None:
    before = {path.name: path.read_bytes() for path in footage.iterdir() if path.suffix == ".sqlite3"}
    run("events", "--root", footage)
    assert {path.name: path.read_bytes() for path in footage.iterdir() if path.suffix == ".sqlite3"} == before
    with Catalog(footage / CATALOG_NAME) as catalog:
        assert catalog.segments(CameraName("gate"), T0_NS, T0_NS + NS) == [segment("gate", 0)]


# -- export and verify ------------------------------------------------------


@pytest.fixture
def minute(tmp_path: Path, clip: Path) -> Path:
    """A configuration whose footage is 10 s of one camera."""
    day = tmp_path / "footage" / "gate" / "2023-11-14"
    day.mkdir(parents=True)
    (day / "gate_20231114T221320Z.mp4").write_bytes(clip.read_bytes())
    with Catalog(tmp_path / "footage" / CATALOG_NAME) as catalog:
        catalog.reconcile(tmp_path / "footage")
    text = "cameras: {gate: {source: 'rtmp://h/l/a'}}\nrecording: {root: footage}\nlogs: {dir: log}\n"
    return write(tmp_path, text)


@pytest.mark.parametrize(("options", "duration_s"), [([], 5), (["--exact"], 4.5)])
def test_export_writes_what_was_asked_for(minute: Path, options: list[str], duration_s: float) -> None:
    out = minute.with_name("clip.mp4")
    times = ["2023-11-14T22:13:22.500Z", "2023-11-14T22:13:27Z"]
    (row,) = lines(run("export", "gate", *times, "-o", out, "-c", minute, "--json", *options))
    assert (row["file"], row["camera"], row["gaps"]) == (str(out), "gate", [])
    assert row["recorded_s"] == pytest.approx(duration_s, abs=0.1)
    shown = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(out)]
    assert float(subprocess.run(shown, capture_output=True, check=True).stdout) == pytest.approx(duration_s, abs=0.15)
    again = run("export", "gate", *times, "-o", out, "-c", minute)
    assert again.exit_code == 2
    assert "--force overwrites it" in again.output
    assert "from 2023-11-14T22:13:22" in run("export", "gate", *times, "-o", out, "-c", minute, "--force").stdout


def test_export_of_nothing_says_what_is_nearest(minute: Path) -> None:
    done = shell(
        "export", "gate", "2023-11-14T23:00:00Z", "2023-11-14T23:01:00Z", "-o", minute.with_name("x.mp4"), "-c", minute
    )
    assert done.returncode == 1
    assert "gate has no footage from 2023-11-14T23:00:00.000Z" in done.stderr
    assert "the nearest ends 2023-11-14T22:13:30" in done.stderr
    assert not minute.with_name("x.mp4").exists()


def test_verify_says_why_footage_is_missing(minute: Path, clip: Path) -> None:
    root = minute.with_name("footage")
    (root / "gate" / "2023-11-14" / "gate_20231114T221350Z.mp4").write_bytes(clip.read_bytes())
    with Catalog(root / CATALOG_NAME) as catalog:
        catalog.reconcile(root)
        catalog.put_event(event(kind="camera_offline", start_s=20, end_s=30))
    (camera,) = json.loads(run("verify", "-c", minute, "--json").stdout)["cameras"]
    assert camera["coverage"] == pytest.approx(20 / 30, abs=0.01)
    assert [(gap["from"][:19], gap["to"][:19], round(gap["duration_s"]), gap["cause"]) for gap in camera["gaps"]] == [
        ("2023-11-14T22:13:30", "2023-11-14T22:13:40", 10, "not_recorded"),
        ("2023-11-14T22:13:40", "2023-11-14T22:13:50", 10, "camera_offline"),
    ]
    table = " ".join(run("verify", "-c", minute).stdout.split())
    assert "(not recorded)" in table
    assert "(camera offline)" in table
    (away,) = lines(run("events", "-c", minute, "--kind", "camera_offline", "--json"))
    assert (away["kind"], away["started_at"]) == ("camera_offline", "2023-11-14T22:13:40.000Z")


def test_verify_finds_what_is_wrong_in_footage_and_log(minute: Path) -> None:
    log = minute.with_name("log")
    log.mkdir()
    whole = json.dumps(to_json(event(end_s=5), [])) + "\n"
    (log / "events.jsonl").write_text(whole)
    result = run("verify", "-c", minute, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["segments"], found["log_lines"], found["bad"]) == (1, 1, [])
    assert found["cameras"][0]["coverage"] == 1.0
    assert found["cameras"][0]["gaps"] == []
    (log / "events.jsonl").write_text(whole + '{"id": 1}\n{"id"')
    next(minute.parent.rglob("gate_*.mp4")).unlink()
    result = run("verify", "-c", minute, "--json")
    assert result.exit_code == 1
    assert [bad["path"] for bad in json.loads(result.stdout)["bad"]] == [
        "gate/2023-11-14/gate_20231114T221320Z.mp4", "events.jsonl, line 2", "events.jsonl, line 3"
    ]  # fmt: skip
    assert "3 are wrong" in run("verify", "-c", minute, "--quick").stdout
