"""A day of cameras in one question."""

from typing import Any

import pytest
from desk import GATE, YARD, Desk
from fastapi.testclient import TestClient
from support import NS, T0_NS, event, segment

from raycctv.clock import iso, parse_iso


def at(seconds: float) -> str:
    return iso(T0_NS + round(seconds * NS))


def rows(client: TestClient, from_s: float = -3600, to_s: float = 3600, **more: Any) -> dict[str, dict[str, Any]]:
    got = client.get("/api/timeline", params={"from": at(from_s), "to": at(to_s), **more})
    assert got.status_code == 200, got.text
    return {row["camera"]: row for row in got.json()["cameras"]}


def seconds(stretches: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [((parse_iso(one["from"]) - T0_NS) / NS, (parse_iso(one["to"]) - T0_NS) / NS) for one in stretches]


def test_day_has_footage_gaps_with_their_cause_and_events(client: TestClient) -> None:
    gate = rows(client)["gate"]
    assert seconds(gate["recorded"]) == [pytest.approx((0, 30), abs=0.1), pytest.approx((60, 70), abs=0.1)]
    ((gap, cause),) = [(one, one["cause"]) for one in gate["gaps"]]
    assert seconds([gap]) == [pytest.approx((30, 60), abs=0.1)]
    assert cause == "camera_offline"  # and so it counts for nothing
    assert gate["coverage"] == pytest.approx(1, abs=0.01)
    assert [(one["id"], one["kind"], one["category"]) for one in gate["events"]] == [("e-gate", "person", "object")]


def test_what_should_have_been_filed_by_now_is_missing(desk: Desk, client: TestClient) -> None:
    desk.clock.advance(500)  # T0 + 600 s; the last footage ends at 70 s
    gaps = rows(client)["gate"]["gaps"]
    assert [one["cause"] for one in gaps] == ["camera_offline", "not_recorded"]
    assert seconds(gaps[1:]) == [pytest.approx((70, 560), abs=0.1)]  # a segment and half a minute may be on their way
    desk.catalog.put_event(event("away", "gate", "camera_offline", 300))
    assert [one["cause"] for one in rows(client)["gate"]["gaps"]] == ["camera_offline", "not_recorded", "camera_offline"]


def test_day_that_begins_after_the_first_footage_has_a_gap_at_its_beginning(desk: Desk, client: TestClient) -> None:
    desk.catalog.add_segment(segment("yard", 2000, 60))
    desk.clock.advance(4000)
    gaps = rows(client, 1000, 2060)["yard"]["gaps"]
    assert seconds(gaps) == [(1000, 2000)]
    assert rows(client, -5000, -4000)["yard"]["gaps"] == []  # nothing had begun


def test_camera_without_footage_has_an_empty_row(desk: Desk, client: TestClient) -> None:
    found = rows(client, -9000, -8000)
    assert list(found) == [GATE, YARD]  # in the order of the configuration
    assert all(row["recorded"] == row["gaps"] == row["events"] == [] and row["coverage"] is None for row in found.values())


def test_viewer_sees_their_cameras_alone(viewer: TestClient) -> None:
    assert list(rows(viewer)) == ["gate"]
    got = viewer.get("/api/timeline", params={"from": at(0), "to": at(9), "camera": "yard"})
    assert got.status_code == 404
    assert viewer.get("/camera/yard").status_code == 404


def test_one_camera_may_be_asked_for(client: TestClient) -> None:
    assert list(rows(client, camera="yard")) == ["yard"]
    assert [one["id"] for one in rows(client, camera="yard")["yard"]["events"]] == ["e-yard"]


def test_more_than_eight_days_are_refused(client: TestClient) -> None:
    got = client.get("/api/timeline", params={"from": at(0), "to": at(9 * 86400)})
    assert (got.status_code, "at most 192 hours" in got.json()["detail"]) == (422, True)


@pytest.mark.parametrize("path", ["/timeline", "/events", "/events/e-gate", "/exports", "/camera/gate"])
def test_pages_are_whole_and_have_nothing_inline(viewer: TestClient, path: str) -> None:
    got = viewer.get(path)
    assert (got.status_code, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert " style=" not in got.text
    assert " onclick=" not in got.text
