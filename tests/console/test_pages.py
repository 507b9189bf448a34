"""The pages as the server writes them, and that everything they need goes with the package."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from desk import GATE, Desk, status
from fastapi.testclient import TestClient
from support import NS

import raycctv.console
from raycctv.config import Console, ServerUrl
from raycctv.console.app import create_app
from raycctv.console.system import DetectorLoads

FOLDER = Path(raycctv.console.__file__).parent
STATIC, TEMPLATES = FOLDER / "static", FOLDER / "templates"
REPOSITORY = Path(__file__).parents[2]
PAGES = ["/", "/system", "/accounts", "/account", "/audit"]


@pytest.mark.parametrize("path", PAGES)
def test_page_needs_nothing_that_the_policy_forbids(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200, page.text
    assert not re.findall(r'\sstyle="|<style|\son\w+="|javascript:', page.text)
    for script in re.findall(r"<script([^>]*)>", page.text):
        assert 'src="/static/' in script or 'type="application/json"' in script
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert client.get(address).status_code == 200, address


def test_every_script_that_a_script_imports_is_there() -> None:
    for script in STATIC.glob("*.js"):
        for imported in re.findall(r'from "\./([^"]+)"', script.read_text()):
            assert (STATIC / imported).is_file(), f"{script.name} imports {imported}"


def test_templates_hold_no_style_and_no_script_of_their_own() -> None:
    for template in TEMPLATES.glob("*.html"):
        assert not re.findall(r'\sstyle="|<style|\son\w+="', template.read_text()), template.name


def test_wheel_holds_what_the_console_shows(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = [path for folder in ("static", "templates", "po") for path in (FOLDER / folder).rglob("*") if path.is_file()]
    assert len(wanted) > 15
    assert {path.relative_to(REPOSITORY).as_posix() for path in wanted} <= held


def test_name_that_somebody_chose_is_never_markup(desk: Desk, client: TestClient) -> None:
    desk.app.state.service.audit.note("<script>alert(1)</script>", "here", '"><img src=x>', "gate", note="<b>&")
    page = client.get("/audit").text
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "note &lt;b&gt;&amp;" in page


def test_login_page_does_not_repeat_what_a_stranger_wrote_as_markup(stranger: TestClient) -> None:
    page = stranger.get("/login", params={"next": '/"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page


def test_camera_that_is_not_well_says_so(desk: Desk, client: TestClient) -> None:
    desk.cluster.said = {**status(gate=False), "reader:gate": {"error": "the actor died"}}
    gate, yard = client.get("/api/cameras").json()
    assert gate["problems"] == ["nobody reads the camera", "no footage is being recorded"]
    assert (gate["state"], gate["error"], gate["recording"]) == ("unknown", "the actor died", False)
    assert (yard["state"], yard["problems"]) == ("streaming", [])
    assert 'class="camera bad" id="camera-gate"' in client.get("/").text
    assert gate["last_event"]["kind"] == "person"  # not the health event that is newer


def test_system_tells_what_is_left_of_the_disk(desk: Desk, client: TestClient) -> None:
    (disk,) = client.get("/api/system").json()["disks"]
    segments = desk.catalog.segments()
    written = sum(segment.size_bytes for segment in segments)
    passed_s = (desk.clock.now_ns() - min(segment.started_at_ns for segment in segments)) / NS
    assert disk["footage_bytes"] == written
    assert disk["bytes_per_day"] == pytest.approx(written / passed_s * 86400, rel=0.01)
    assert disk["days_left"] == pytest.approx((600_000_000 - 100_000_000) / disk["bytes_per_day"])
    desk.clock.advance(2 * 3600)
    assert client.get("/api/system").json()["disks"][0]["days_left"] is None  # nothing was written lately


def test_cameras_of_several_machines_with_disks_are_all_told(desk: Desk, client: TestClient) -> None:
    told = status(yard=False)
    storage = told.pop("storage")
    for name, camera in (("storage:a", "gate"), ("storage:b", "yard")):
        told[name] = {**storage, "recorders": {camera: storage["recorders"][camera]}}
    desk.cluster.said = told
    assert [row["recording"] for row in client.get("/api/cameras").json()] == [True, False]
    disks = client.get("/api/system").json()["disks"]
    assert [(disk["name"], disk["footage_bytes"]) for disk in disks] == [("storage:a", None), ("storage:b", None)]
    assert client.get("/system").status_code == 200


def test_system_tells_of_servers_and_what_is_not_well(desk: Desk, client: TestClient) -> None:
    told = client.get("/api/system").json()
    assert told["servers"] == [{"name": "webhook", "owed": 2, "delivered": 3, "refused": 0, "last_error": None}]
    assert told["dropped"] == {"superseded": 2}
    assert [(event["camera"], event["kind"]) for event in told["health"]] == [(GATE, "camera_offline")]
    desk.cluster.said = {**status(), "storage": {"error": "the actor died unexpectedly"}}
    desk.clock.advance(10)
    page = client.get("/system").text
    assert "storage: the actor died unexpectedly" in page
    assert client.get("/api/system").json()["disks"] == []


def test_load_of_a_detector_is_that_between_two_looks() -> None:
    loads, earlier, later = DetectorLoads(), status(), status()
    assert [detector.load for detector in loads.of(earlier, 100.0)] == [None]
    later["detector:0"]["busy_s"] += 3.0
    assert [detector.load for detector in loads.of(later, 110.0)] == [pytest.approx(0.3)]
    assert [detector.load for detector in loads.of(later, 111.0)] == [pytest.approx(0.3)]  # the same answer again
    anew = status()
    anew["detector:0"] |= {"pid": 77, "busy_s": 0.1}
    assert [detector.load for detector in loads.of(anew, 120.0)] == [None]


def test_system_links_to_what_is_configured(desk: Desk, client: TestClient) -> None:
    assert "Grafana" not in client.get("/system").text
    console = Console(grafana=ServerUrl("http://127.0.0.1:3000/d/raycctv"))
    config = desk.config.model_copy(update={"console": console})
    app = create_app(config, desk.cluster, desk.accounts, desk.clock, None)
    with TestClient(app, cookies=client.cookies) as browser:
        assert 'href="http://127.0.0.1:3000/d/raycctv"' in browser.get("/system").text


def test_viewer_is_led_nowhere_that_is_closed_to_them(viewer: TestClient, client: TestClient) -> None:
    page = viewer.get("/").text
    assert 'href="/system"' in page
    assert 'href="/accounts"' not in page
    assert 'href="/audit"' not in page
    assert 'href="/accounts"' in client.get("/").text
