"""Recorded footage by HTTP: what ffprobe finds in it, ranges, gaps, and who may not see it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from desk import GATE, Desk
from fastapi.testclient import TestClient
from footage import probed
from httpx2 import Response
from support import NS, T0_NS

from raycctv.clock import iso
from raycctv.recording.filing import told_ns


def at(seconds: float) -> str:
    return iso(T0_NS + round(seconds * NS))


def film(client: TestClient, from_s: float, to_s: float, camera: str = "gate", **more: str) -> Response:
    return client.get(f"/api/cameras/{camera}/film", params={"from": at(from_s), "to": at(to_s), **more})


def content(client: TestClient, url: str, **headers: str) -> Response:
    return client.get(url, headers=headers)


def test_film_across_segments_and_a_gap_plays_and_says_when_it_was(viewer: TestClient, tmp_path: Path) -> None:
    told = film(viewer, 5, 65).json()
    pieces = [(piece["at_s"], piece["from"], piece["to"]) for piece in told["pieces"]]
    assert [at_s for at_s, _, _ in pieces] == [pytest.approx(value, abs=0.05) for value in (0, 5, 15, 25)]
    assert pieces[3][1:] == (at(60), at(65))
    assert told["codec"].startswith("avc1.")
    assert (told["continues_at"], told["left_out"]) == (None, 0)
    got = content(viewer, told["url"])
    assert (got.status_code, got.headers["content-type"], len(got.content)) == (200, "video/mp4", told["size_bytes"])
    path = tmp_path / "film.mp4"
    path.write_bytes(got.content)
    found = probed(path)
    assert float(found["format"]["duration"]) == pytest.approx(told["duration_s"], abs=0.1) == 30
    assert int(found["video"]["nb_read_frames"]) == 450


def test_film_of_keyframes_alone(viewer: TestClient, tmp_path: Path) -> None:
    told = film(viewer, 0, 30, keyframes="true").json()
    assert told["duration_s"] == pytest.approx(30, abs=0.1)
    path = tmp_path / "film.mp4"
    path.write_bytes(content(viewer, told["url"]).content)
    assert int(probed(path)["video"]["nb_read_frames"]) == 30


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-1", 0, 2), ("bytes=100-", 100, None), ("bytes=-50", -50, None), ("bytes=5000-300000", 5000, 300001),
        ("bytes=10-99999999999", 10, None), ("bytes=-99999999999", 0, None),
    ],
)  # fmt: skip
def test_film_gives_ranges(viewer: TestClient, asked: str, begin: int, end: int | None) -> None:
    url = film(viewer, 0, 70).json()["url"]
    whole = content(viewer, url).content
    part = content(viewer, url, Range=asked)
    expected = whole[begin:end]
    first = begin % len(whole)
    assert (part.status_code, part.content) == (206, expected)
    assert part.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"
    assert int(part.headers["content-length"]) == len(expected)


def test_film_that_is_the_same_is_not_sent_again_and_another_one_is_sent_whole(viewer: TestClient) -> None:
    url = film(viewer, 0, 30).json()["url"]
    first = content(viewer, url, Range="bytes=0-9")
    tag = first.headers["etag"]
    assert content(viewer, url, **{"If-None-Match": tag}).status_code == 304
    assert content(viewer, url, **{"If-Range": tag, "Range": "bytes=0-9"}).status_code == 206
    assert content(viewer, url, **{"If-Range": '"old"', "Range": "bytes=0-9"}).status_code == 200
    assert content(viewer, url, Range="bytes=99999999-").status_code == 416
    assert content(viewer, url, Range="lines=1-2").status_code == 200
    head = viewer.head(url)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
    assert head.headers["accept-ranges"] == "bytes"


def test_segment_that_was_deleted_in_the_middle_is_a_gap_and_its_film_another(viewer: TestClient, desk: Desk) -> None:
    url = film(viewer, 0, 70).json()["url"]
    whole = content(viewer, url)
    gone = desk.catalog.segments(GATE)[1]
    (desk.root / gone.path).unlink()
    broken = content(viewer, url, Range="bytes=1000-")
    assert broken.status_code == 500 or len(broken.content) < len(whole.content) - 1000
    told = film(viewer, 0, 70).json()
    assert told["left_out"] == 1
    assert [piece["from"] for piece in told["pieces"]] == [at(0), at(20), at(60)]
    again = content(viewer, told["url"])
    assert again.headers["etag"] != whole.headers["etag"]
    assert len(again.content) == told["size_bytes"] < len(whole.content)


def test_span_without_footage_is_404_and_says_so(viewer: TestClient) -> None:
    got = film(viewer, 200, 300)
    assert got.status_code == 404
    assert "no frame" in got.json()["detail"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"from": "yesterday", "to": at(3)}, "no ISO 8601 time"),
        ({"from": at(9), "to": at(3)}, "must be later"),
        ({"from": at(0), "to": at(999_999)}, "at most 6 hours"),
        ({"from": "9999-01-01", "to": at(3)}, "after 2200"),
        ({"from": at(0)}, "to"),
        ({"from": at(0), "to": at(3), "keyframes": "perhaps"}, "keyframes"),
    ],
)
def test_malformed_span_is_refused_with_the_reason(viewer: TestClient, params: dict[str, Any], words: str) -> None:
    for path in ("film", "film.mp4"):
        got = viewer.get(f"/api/cameras/gate/{path}", params=params)
        assert got.status_code == 422
        assert words in got.json()["detail"]


@pytest.mark.parametrize("camera", ["yard", "none", "..", "..%2f..", "%2e%2e%2fgate", "gate%00"])
def test_film_of_a_camera_that_one_may_not_see_is_as_of_none(viewer: TestClient, camera: str) -> None:
    assert film(viewer, 0, 30, camera).status_code == 404
    assert viewer.get(f"/api/cameras/{camera}/film.mp4", params={"from": at(0), "to": at(30)}).status_code == 404


def test_stranger_sees_no_film(stranger: TestClient) -> None:
    assert film(stranger, 0, 30).status_code == 401


def test_who_saw_footage_is_written_down(viewer: TestClient, desk: Desk) -> None:
    content(viewer, film(viewer, 0, 30).json()["url"])
    notes = desk.app.state.service.audit.notes(what="saw footage")
    assert [(note.account, note.camera, note.details["start"]) for note in notes] == [("viewer", "gate", at(0))]


def test_what_is_being_written_now_is_shown_too_and_plays_on_when_it_has_been_filed(
    viewer: TestClient, desk: Desk, fragmented: Path, tmp_path: Path
) -> None:
    """Events of the last minute are what people look at first."""
    incoming = desk.root / "gate" / "incoming"
    incoming.mkdir()
    path = incoming / "gate_3.mp4"
    whole = fragmented.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])  # its last fragment is torn
    os.utime(path, ns=(T0_NS + 87 * NS, T0_NS + 87 * NS))
    told = film(viewer, 65, 100).json()
    assert told["pieces"][0]["from"] == at(65)
    assert told["pieces"][1]["to"] == at(87)
    first = content(viewer, told["url"], Range="bytes=0-99999")
    path.write_bytes(whole)  # the recorder goes on
    os.utime(path, ns=(T0_NS + 90 * NS, T0_NS + 90 * NS))
    path.rename(desk.root / "gate" / "filed.mp4")
    rest = content(viewer, told["url"], Range="bytes=100000-")
    assert rest.headers["etag"] == first.headers["etag"]
    (tmp_path / "film.mp4").write_bytes(first.content + rest.content)
    found = probed(tmp_path / "film.mp4")
    assert float(found["format"]["duration"]) == pytest.approx(told["duration_s"], abs=0.1)
    assert 5 + 4 < told["duration_s"] < 5 + 8


def test_timeline_has_what_is_being_written_now(viewer: TestClient, desk: Desk, clip: Path) -> None:
    incoming = desk.root / "gate" / "incoming"
    incoming.mkdir()
    told = ["-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-write_prft", "wallclock"]
    path = incoming / "gate_3.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(clip), "-c", "copy", *told, str(path)], check=True)
    begun_ns = told_ns(path)
    assert begun_ns is not None
    os.utime(path, ns=(begun_ns + 9 * NS, begun_ns + 9 * NS))
    desk.clock.step((begun_ns - desk.clock.now_ns()) / NS + 9)
    query = {"from": iso(begun_ns - 60 * NS), "to": iso(begun_ns + 60 * NS)}
    (gate,) = viewer.get("/api/timeline", params=query).json()["cameras"]
    assert gate["recorded"] == [{"from": iso(begun_ns), "to": iso(begun_ns + 9 * NS)}]
