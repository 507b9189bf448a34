"""Setting up a camera over HTTP: what is shown, tried, and written."""

from pathlib import Path
from typing import Any

import pytest
from desk import GATE, YARD, Desk
from fastapi.testclient import TestClient
from support import until

from raycctv.console.routes import setup
from raycctv.errors import ClusterError

MASK = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]
TEXT = """\
# mine
cameras:
  gate:
    source: rtmp://127.0.0.1:9/live/gate  # main
    zones: {drive: [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]}
  yard:
    source: rtmp://admin:${YARD_PASSWORD}@127.0.0.1:9/live/yard
"""


@pytest.fixture
def file(desk: Desk, tmp_path: Path) -> Path:
    """The file that the desk's console was started from."""
    path = tmp_path / "cameras.yaml"
    path.write_text(TEXT)
    desk.app.state.service.file = path
    return path


def change(client: TestClient, **update: Any) -> dict[str, Any]:
    now = client.get("/api/setup/gate").json()
    return {"settings": {**now["settings"], **update}, "digest": now["digest"]}


def test_setup_shows_what_the_file_says(client: TestClient, file: Path) -> None:
    shown = client.get("/api/setup/gate").json()
    assert shown["settings"]["zones"] == {"drive": [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]}
    assert shown["settings"]["objects"]["person"] == {"min_score": 0.5, "min_views": 3, "zones": []}
    assert shown["settings"]["motion"] == {"min_area": None, "sensitivity": None}
    assert shown["motion"] == {"min_area": 0.0006, "sensitivity": 1.0}
    assert (shown["hindrance"], shown["pending"]) == (None, True)  # the zone does not run yet
    assert shown["footage_s"] == pytest.approx(40, abs=0.5)
    assert shown["frame_px"] == [640, 360]
    assert {"person", "traffic light"} < set(shown["labels"])


def test_mask_that_is_saved_is_in_the_file_and_runs(client: TestClient, file: Path, desk: Desk) -> None:
    wanted = change(client, masks={"tree": MASK})
    seen = client.post("/api/setup/gate/preview", json=wanted).json()["difference"]
    assert [line for line in seen.splitlines() if line[0] in "+-"] == [
        "+    masks:",
        "+      tree: [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]",
    ]
    assert file.read_text() == TEXT
    saved = client.put("/api/setup/gate", json=wanted)
    assert saved.status_code == 200
    assert saved.json()["problem"] is None
    assert file.read_text() == TEXT.replace(
        "  yard:\n", "    masks:\n      tree: [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]\n  yard:\n"
    )
    (running,) = desk.cluster.reloaded
    assert running.cameras[GATE].masks == {"tree": ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5))}
    assert running.cameras[YARD] == desk.config.cameras[YARD]
    assert desk.app.state.service.config == running
    shown = client.get("/api/setup/gate").json()
    assert (shown["pending"], shown["digest"]) == (False, saved.json()["digest"])
    noted = client.get("/api/audit").text
    assert "set up" in noted
    assert "tree" in noted


def test_file_that_was_edited_meanwhile_is_left_alone(client: TestClient, file: Path, desk: Desk) -> None:
    wanted = change(client, masks={"tree": MASK})
    file.write_text(TEXT + "# more\n")
    for call in (client.post("/api/setup/gate/preview", json=wanted), client.put("/api/setup/gate", json=wanted)):
        assert call.status_code == 409
        assert "changed meanwhile" in call.json()["detail"]
    assert file.read_text() == TEXT + "# more\n"
    assert desk.cluster.reloaded == []


def test_settings_that_do_not_agree_are_refused(client: TestClient, file: Path) -> None:
    lost = change(client, zones={}, objects={"car": {"zones": ["drive"]}})
    refused = client.put("/api/setup/gate", json=lost)
    assert refused.status_code == 422
    assert "objects.car.zones names 'drive'" in refused.json()["detail"]
    assert client.post("/api/setup/gate/trials", json=lost["settings"]).status_code == 422
    outside: list[Any] = [[2, 0], *MASK]
    bads: list[dict[str, Any]] = [{"mask": {}}, *({"masks": {"a": polygon}} for polygon in (MASK[:2], outside))]
    bads.append({"masks": {"a/b": MASK}})
    for bad in bads:
        assert client.put("/api/setup/gate", json=change(client, **bad)).status_code == 422
    assert file.read_text() == TEXT


def test_cluster_that_does_not_answer_is_told_beside_what_was_saved(
    client: TestClient, file: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(config: object) -> None:
        raise ClusterError("the supervisor does not answer")

    monkeypatch.setattr(desk.cluster, "reload", fails)
    saved = client.put("/api/setup/gate", json=change(client, masks={"tree": MASK})).json()
    assert "the cluster does not run it yet: the supervisor does not answer" in saved["problem"]
    assert "tree" in file.read_text()
    assert client.get("/api/setup/gate").json()["pending"]


def test_without_a_file_settings_are_shown_and_not_saved(client: TestClient) -> None:
    shown = client.get("/api/setup/gate").json()
    assert "not known here where the configuration file is" in shown["hindrance"]
    assert client.put("/api/setup/gate", json={"settings": shown["settings"], "digest": ""}).status_code == 422


def test_file_that_cannot_be_used_is_an_error_that_says_so(client: TestClient, file: Path) -> None:
    file.write_text("cameras: [")
    answer = client.get("/api/setup/gate")
    assert answer.status_code == 422
    assert "cameras.yaml, line 1" in answer.json()["detail"]
    file.write_text(TEXT.replace("gate:", "door:"))
    assert "has no camera 'gate' any more" in client.get("/api/setup/gate").json()["detail"]


def test_trial_over_http(client: TestClient, file: Path, desk: Desk, weights: Path) -> None:
    everywhere = [[0, 0], [1, 0], [1, 1], [0, 1]]
    begun = client.post("/api/setup/gate/trials", json=change(client, masks={"all": everywhere})["settings"])
    assert begun.status_code == 201
    place = f"/api/setup/gate/trials/{begun.json()['id']}"
    assert "settings of gate are being tried" in client.post("/api/setup/yard/trials", json={}).json()["detail"]
    until(lambda: client.get(place).json()["state"] != "running", 90)
    found = client.get(place).json()
    assert found["state"] == "done", found
    assert found["tried_s"] == found["footage_s"] == pytest.approx(40, abs=0.5)
    assert [event["kind"] for event in found["go"]] == ["motion"] * len(found["go"])
    assert found["go"]
    assert found["come"] == found["stay"] == []
    picture = client.get(found["go"][0]["picture"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"
    assert client.get(place.replace("gate", "yard")).status_code == 404
    assert client.get(f"{place}/pictures/0-..%2Fx.jpg").status_code in (404, 422)
    assert client.get(f"{place}/pictures/0-none.jpg").status_code == 404
    assert client.delete(place).json()["state"] == "done"


def test_trial_that_is_cancelled(client: TestClient, file: Path) -> None:
    begun = client.post("/api/setup/gate/trials", json={}).json()
    assert begun["state"] == "running"
    assert client.delete(f"/api/setup/gate/trials/{begun['id']}").json()["state"] == "cancelled"


def test_trial_without_footage_is_refused(client: TestClient, file: Path, desk: Desk) -> None:
    desk.clock.advance(2 * setup.FOOTAGE_S)
    refused = client.post("/api/setup/gate/trials", json={})
    assert refused.status_code == 409
    assert "no footage of gate" in refused.json()["detail"]


def test_setup_page_is_for_administrators(client: TestClient, operator: TestClient) -> None:
    page = client.get("/setup/gate")
    assert page.status_code == 200
    assert 'data-camera="gate"' in page.text
    assert operator.get("/setup/gate").status_code == 403
