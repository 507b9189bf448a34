"""Exports: files that play, checksums that hold, and what becomes of them on a bad day."""

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import GATE, Desk
from fastapi.testclient import TestClient
from footage import filed, probed
from support import NS, T0_NS, fill, until

from raycctv.clock import ManualClock, iso
from raycctv.config import Camera, Config, Console, ExportLimits, Recording, Retention, StreamUrl
from raycctv.console.exports import FOLDER, Export, ExportRefused, Exports
from raycctv.recording import export as exporting
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.types import Span


def at(seconds: float) -> str:
    return iso(T0_NS + round(seconds * NS))


def begin(client: TestClient, from_s: float = 0, to_s: float = 65, **more: Any) -> dict[str, Any]:
    got = client.post("/api/exports", json={"camera": "gate", "from": at(from_s), "to": at(to_s), **more})
    assert got.status_code == 201, got.text
    made: dict[str, Any] = got.json()
    return made


def finished(client: TestClient, export_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        got: dict[str, Any] = client.get(f"/api/exports/{export_id}").json()
        return got

    until(lambda: look()["state"] in ("done", "failed"), 30)
    return look()


def files(client: TestClient, export: dict[str, Any], folder: Path) -> list[Path]:
    """What a person downloads of it."""
    names = [file["name"] for file in export["files"]] + [export["checksums"], export["checksums"].replace(".sha256", ".json")]
    for name in names:
        got = client.get(f"/api/exports/{export['id']}/files/{name}")
        assert got.status_code == 200
        assert f'filename="{name}"' in got.headers["content-disposition"]
        (folder / name).write_bytes(got.content)
    return [folder / name for name in names]


def test_export_plays_tells_its_gaps_and_its_checksums_hold(operator: TestClient, tmp_path: Path) -> None:
    made = begin(operator, note="bicycle stolen")
    assert (made["state"], made["by"], made["note"]) == ("waiting", "operator", "bicycle stolen")
    done = finished(operator, made["id"])
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
    folder = tmp_path / "handed-over"
    folder.mkdir()
    video, checksums, about = files(operator, done, folder)
    assert int(probed(video)["video"]["nb_read_frames"]) == pytest.approx(35 * 15, abs=2)
    checked = subprocess.run(["sha256sum", "-c", checksums.name], cwd=folder, capture_output=True, text=True, check=True)
    assert checked.stdout.splitlines() == [f"{video.name}: OK", f"{about.name}: OK"]
    (file,) = done["files"]
    assert [(gap["from"], gap["to"]) for gap in file["gaps"]] == [(pytest.approx(file["gaps"][0]["from"]), at(60))]
    facts = json.loads(about.read_text())
    assert (facts["camera"], facts["by"], facts["files"][0]["sha256"]) == ("gate", "operator", file["sha256"])
    video.write_bytes(video.read_bytes()[:-1] + b"!")
    assert subprocess.run(["sha256sum", "-c", checksums.name], cwd=folder, capture_output=True, check=False).returncode == 1


def test_exact_export_begins_and_ends_at_the_frame(operator: TestClient, tmp_path: Path) -> None:
    done = finished(operator, begin(operator, 3.4, 8.2, exact=True)["id"])
    assert (done["files"][0]["from"], done["files"][0]["to"]) == (at(3.4), at(8.2))
    video, *_ = files(operator, done, tmp_path)
    assert int(probed(video)["video"]["nb_read_frames"]) == pytest.approx(4.8 * 15, abs=1)


def test_export_is_listed_newest_first_and_deleted_with_its_files(operator: TestClient, desk: Desk) -> None:
    first = begin(operator)["id"]
    desk.clock.advance(5)
    second = begin(operator, 5, 9)["id"]
    finished(operator, second)
    assert [one["id"] for one in operator.get("/api/exports").json()] == [second, first]
    assert operator.delete(f"/api/exports/{first}").status_code == 204
    assert [one["id"] for one in operator.get("/api/exports").json()] == [second]
    assert [path.name for path in (desk.root / FOLDER).iterdir()] == [second]
    assert operator.delete(f"/api/exports/{first}").status_code == 404


def test_who_exported_downloaded_and_deleted_is_written_down(operator: TestClient, desk: Desk, tmp_path: Path) -> None:
    done = finished(operator, begin(operator)["id"])
    files(operator, done, tmp_path)
    operator.delete(f"/api/exports/{done['id']}")
    told = [(note.what, note.account, note.camera) for note in desk.app.state.service.audit.notes()]
    for what in ("exported", "downloaded", "deleted an export"):
        assert (what, "operator", "gate") in told


def test_viewer_may_fetch_what_was_exported_of_their_cameras_and_no_more(
    operator: TestClient, viewer: TestClient, stranger: TestClient
) -> None:
    own = finished(operator, begin(operator)["id"])
    other = operator.post("/api/exports", json={"camera": "yard", "from": at(0), "to": at(5)}).json()
    done = finished(operator, other["id"])
    assert [one["id"] for one in viewer.get("/api/exports").json()] == [own["id"]]
    assert viewer.get(f"/api/exports/{own['id']}/files/{own['files'][0]['name']}").status_code == 200
    assert viewer.get(f"/api/exports/{done['id']}").status_code == 404
    assert viewer.get(f"/api/exports/{done['id']}/files/{done['files'][0]['name']}").status_code == 404
    assert viewer.post("/api/exports", json={"camera": "gate", "from": at(0), "to": at(5)}).status_code == 403
    assert viewer.delete(f"/api/exports/{own['id']}").status_code == 403
    assert stranger.get("/api/exports").status_code == 401


@pytest.mark.parametrize(
    "name", ["export.json", "../export.json", "..%2fexport.json", "%2e%2e/%2e%2e/catalog.sqlite3", "/etc/passwd", "none.mp4"]
)
def test_no_other_file_is_given(operator: TestClient, name: str) -> None:
    done = finished(operator, begin(operator)["id"])
    assert operator.get(f"/api/exports/{done['id']}/files/{name}").status_code == 404
    assert operator.get(f"/api/exports/..%2f..%2fgate/files/{name}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"from": at(500), "to": at(600)}, 409, "has no footage from"),
        ({"from": at(9), "to": at(3)}, 422, "later than from"),
        ({"from": at(0), "to": at(8 * 86400)}, 422, "at most 168 hours"),
        ({"from": "then", "to": at(3)}, 422, "no ISO 8601"),
        ({"from": at(0), "to": at(3), "camera": "none"}, 404, "no such camera"),
        ({"from": at(0), "to": at(3), "camera": "../gate"}, 404, "no such camera"),
        ({"from": at(0), "to": at(3), "colour": "red"}, 422, "colour"),
        ({"from": at(0), "to": at(3), "note": "x" * 501}, 422, "note"),
    ],
)
def test_export_that_cannot_be_is_refused_with_the_reason(
    operator: TestClient, body: dict[str, Any], status: int, words: str
) -> None:
    got = operator.post("/api/exports", json={"camera": "gate", **body})
    assert (got.status_code, words in got.json()["detail"]) == (status, True), got.text


# -- without a browser --------------------------------------------------------


def configured(root: Path, **limits: Any) -> Config:
    camera = Camera(source=StreamUrl.parse("rtmp://127.0.0.1:9/live/gate"))
    keep = Retention.model_validate({"min_free": "1B"})
    return Config(
        cameras={GATE: camera}, recording=Recording(root=root, keep=keep), console=Console(exports=ExportLimits(**limits))
    )  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path, clip: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / CATALOG_NAME) as opened:
        for start_s in (0, 10, 20):
            opened.add_segment(filed(tmp_path, clip, start_s))
        yield opened


SPAN = Span(GATE, T0_NS, T0_NS + 25 * NS)


def state(exports: Exports, made: Export) -> str:
    found = exports.get(made.id)
    return "gone" if found is None else found.state


def test_export_that_was_under_way_is_done_again_after_a_restart(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path)
    reached = threading.Event()
    real = exporting.export

    def slow(*arguments: Any) -> Any:
        made = real(*arguments)
        reached.set()
        until(lambda: exports._closing, 20)
        return made

    exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "export", slow)
        running, waiting = exports.create(SPAN, "anna"), exports.create(SPAN, "budi")
        reached.wait(20)
        (tmp_path / FOLDER / running.id / "left-over.part").write_bytes(b"half")
        exports.close()
    assert {state(exports, running), state(exports, waiting)} <= {"running", "waiting", "failed"}
    again = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    until(lambda: state(again, running) == state(again, waiting) == "done", 30)
    again.close()
    kept = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    assert {one.id: one.state for one in kept.all()} == {running.id: "done", waiting.id: "done"}
    assert not (tmp_path / FOLDER / running.id / "left-over.part").exists()
    kept.close()


def test_export_that_is_deleted_while_it_runs_leaves_nothing(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path)
    exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    reached, go_on = threading.Event(), threading.Event()
    real = exports._progress

    def held(export: Export, progress: float) -> None:
        reached.set()
        go_on.wait(20)
        real(export, progress)

    monkeypatch.setattr(exports, "_progress", held)
    made = exports.create(SPAN, "anna")
    assert reached.wait(20)
    assert exports.delete(made.id)
    go_on.set()
    exports.close()
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert exports.all() == []


def test_export_to_a_full_disk_fails_says_so_and_leaves_room(small_disk: Path, clip: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.mp4"
    noise = ["-f", "lavfi", "-i", "nullsrc=s=640x360:r=15:d=10,geq=random(1)*255:128:128", "-c:v", "libx264", "-g", "15"]
    subprocess.run(["ffmpeg", "-v", "error", *noise, "-b:v", "2M", "-preset", "ultrafast", str(long)], check=True)
    with Catalog(small_disk / CATALOG_NAME) as catalog:
        catalog.add_segment(filed(small_disk, long, 0))
        config = configured(small_disk)
        exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
        made = exports.create(SPAN, "anna")
        ballast = small_disk / "ballast"
        fill(ballast)
        until(lambda: state(exports, made) in ("failed", "done"), 20)
        if state(exports, made) == "done":  # it was quicker than the ballast
            exports.delete(made.id)
            fill(ballast)
        with pytest.raises(ExportRefused, match=r"the disk has \d+ bytes free|cannot be written: No space left"):
            exports.create(SPAN, "anna")
        exports.close()


def test_disk_that_fills_while_an_export_is_written_makes_it_fail(
    tmp_path: Path, catalog: Catalog, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The footage is on one disk, the exports on another that has less room than they were told."""
    config = configured(tmp_path)
    (tmp_path / FOLDER).symlink_to(small_disk)
    ballast = small_disk / "ballast"
    fill(ballast)
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - 100_000)
    exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    made = exports.create(SPAN, "anna")
    until(lambda: state(exports, made) == "failed", 30)
    failed = exports.get(made.id)
    assert failed is not None
    assert "No space left" in (failed.error or "")
    assert {path.name for path in (small_disk / made.id).iterdir()} <= {"export.json", "export.new"}
    ballast.unlink()
    assert exports.delete(made.id)
    again = exports.create(SPAN, "anna")
    until(lambda: state(exports, again) == "done", 30)
    exports.close()


def test_segment_that_cannot_be_read_makes_it_fail_with_its_name(tmp_path: Path, catalog: Catalog) -> None:
    gone = catalog.segments()[1]
    (tmp_path / gone.path).unlink()
    config = configured(tmp_path)
    exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    made = exports.create(SPAN, "anna")
    until(lambda: state(exports, made) == "failed", 30)
    failed = exports.get(made.id)
    assert failed is not None
    assert gone.path in (failed.error or "")
    exports.close()


@pytest.mark.parametrize(
    ("limits", "words"), [({"max_count": 1}, "as many as may be"), ({"max_size": "1B"}, "may take 1")]
)  # fmt: skip
def test_exports_are_limited(tmp_path: Path, catalog: Catalog, limits: dict[str, Any], words: str) -> None:
    config = configured(tmp_path, **limits)
    exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    if "max_count" in limits:
        exports.create(SPAN, "anna")
    with pytest.raises(ExportRefused, match=words):
        exports.create(SPAN, "anna")
    exports.close()


def test_nothing_runs_while_there_is_nothing_to_do(tmp_path: Path, catalog: Catalog) -> None:
    config = configured(tmp_path)
    exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    made = exports.create(SPAN, "anna")
    until(lambda: state(exports, made) == "done", 30)
    until(lambda: not any(thread.name == "exports" for thread in threading.enumerate()), 5)
    exports.close()


def test_strange_folders_among_exports_are_left_alone(tmp_path: Path, catalog: Catalog) -> None:
    folder = tmp_path / FOLDER / "notes"
    folder.mkdir(parents=True)
    (folder / "export.json").write_text("no JSON")
    config = configured(tmp_path)
    exports = Exports(lambda: config, lambda: catalog, ManualClock(T0_NS))
    assert exports.all() == []
    assert folder.exists()
    exports.close()
