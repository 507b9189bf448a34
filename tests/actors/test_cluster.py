"""The actors on a real Ray: what they say, and what they survive."""

import itertools
import json
import os
import re
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from servers.elasticsearch_servers import Elasticsearch, ask
from servers.loki import Loki
from servers.webhook import Hook
from support import until

from actors import cluster, names
from actors.reader import Reader
from actors.sink import Sink
from raycctv.config import Camera, Config, Detection, FreeSpace, Logs, Notify, Recording, Retention, ServerUrl, StreamUrl
from raycctv.config import Elasticsearch as ElasticsearchSettings
from raycctv.config import Loki as LokiSettings
from raycctv.detection.backends import open_backend
from raycctv.errors import ClusterError, RecordingError, WeightsMissing
from raycctv.pipeline import analyze_file
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer
from raycctv.sealing import Sealed
from raycctv.simulate.camera import SimulatedCamera
from raycctv.simulate.scenes import prepare
from raycctv.sinks import component_log
from raycctv.sinks.elasticsearch import connect
from raycctv.sinks.elasticsearch_setup import EVENTS, PIPELINES, install_templates
from raycctv.sinks.event_log import LOG_NAME
from raycctv.types import CameraName, Event

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(scope="module")
def ray_cluster(weights: Path) -> Iterator[None]:
    with cluster.private_cluster(cpus=4):
        yield


def config(folder: Path, **cameras: str) -> Config:
    """Cameras by name: URL."""
    return Config(
        cameras={CameraName(name): Camera(source=StreamUrl.parse(url)) for name, url in cameras.items()},
        recording=Recording(root=folder / "recordings", segment_s=5),
        logs=Logs(dir=folder / "log"),
        detection=Detection(backend="openvino"),
    )


@contextmanager
def deployed(wanted: Config) -> Iterator[Any]:
    supervisor = cluster.deploy(wanted)
    try:
        yield supervisor
    finally:
        cluster.undeploy(cluster.running())


def events(folder: Path) -> list[Event]:
    with Catalog(folder / "recordings" / CATALOG_NAME, read_only=True) as catalog:
        return sorted(catalog.events(), key=lambda event: event.id)


@pytest.fixture
def plaza(rtmp: RtmpServer, pedestrians: Path) -> Iterator[SimulatedCamera]:
    """Real pedestrians, live."""
    camera = SimulatedCamera("plaza", prepare("plaza"), rtmp.url("plaza"))
    camera.start()
    yield camera
    camera.stop()


def pids(supervisor: Any) -> dict[str, int]:
    return {name: part.get("pid", 0) for name, part in cluster.status(supervisor).items()}


def revived(supervisor: Any, name: str, pid: int) -> Callable[[], bool]:
    return lambda: pids(supervisor)[name] not in (0, pid)


def test_actors_say_what_the_pipeline_says(shared_data: Path, tmp_path: Path) -> None:
    clip = shared_data / "clips" / "one-by-one-person-detection.mp4"
    wanted = config(tmp_path, walk=f"file://{clip}")
    with deployed(wanted) as supervisor:
        until(lambda: cluster.status(supervisor)["reader:walk"].get("state") == "ended", 120)
        status = cluster.status(supervisor)
    name = CameraName("walk")
    with open_backend("ssdlite_mobilenet_v2", "openvino", threads=1) as detector:
        reports = list(analyze_file(name, clip, wanted.cameras[name], wanted, detector))
    expected = {report.event.id: report.event for report in reports}
    found = {event.id: event for event in events(tmp_path)}
    assert found.keys() == expected.keys()
    for event_id, event in found.items():
        assert event.snapshot is not None
        assert (tmp_path / "log" / event.snapshot).read_bytes()[:2] == b"\xff\xd8"
        told = expected[event_id]
        assert (event.kind, event.started_at_ns, event.ended_at_ns, event.box, event.zones, event.score, event.why) == (
            told.kind, told.started_at_ns, told.ended_at_ns, told.box, told.zones, told.score, told.why
        )  # fmt: skip
        assert event.labels == told.labels
    lines = [json.loads(line) for line in (tmp_path / "log" / LOG_NAME).read_text().splitlines()]
    assert [(line["id"], line["ended_at"] is None) for line in lines] == [
        (report.event.id, report.event.ended_at_ns is None) for report in reports
    ]
    assert status["detector:0"]["images"] == status["reader:walk"]["candidates"] > 0
    assert status["detector:0"]["backend"] == "openvino"


def test_detector_on_openvino_has_no_torch_in_its_process(tmp_path: Path, clip: Path) -> None:
    with deployed(config(tmp_path, walk=f"file://{clip}")) as supervisor:
        pid = pids(supervisor)["detector:0"]
        loaded = Path(f"/proc/{pid}/maps").read_text()
    assert "openvino" in loaded
    assert "torch" not in loaded


def test_killed_actors_come_back_and_no_recorded_second_is_lost(
    plaza: SimulatedCamera, rtmp: RtmpServer, tmp_path: Path
) -> None:
    with deployed(config(tmp_path, plaza=rtmp.url("plaza"))) as supervisor:
        until(lambda: cluster.status(supervisor)["reader:plaza"].get("candidates", 0) > 0, 30)
        until(lambda: cluster.status(supervisor)["storage"]["recorders"]["plaza"]["recording"], 20)
        recorder = cluster.status(supervisor)["storage"]["recorders"]["plaza"]["pid"]
        for victim in (names.detector(0), names.SINK, names.STORAGE, names.reader(CameraName("plaza"))):
            pid = pids(supervisor)[victim]
            os.kill(pid, signal.SIGKILL)
            until(revived(supervisor, victim, pid), 60)
        status = cluster.status(supervisor)
        assert status["storage"]["recorders"]["plaza"]["pid"] == recorder  # it has not noticed anything
        assert status["storage"]["recorders"]["plaza"]["starts"] == 0
        until(lambda: cluster.status(supervisor)["reader:plaza"].get("candidates", 0) > 0, 30)
        until(lambda: bool(cluster.status(supervisor)["sink"].get("recorded")), 30)
    assert {event.kind for event in events(tmp_path)} <= {"person", "motion"}
    assert all(event.ended_at_ns is not None for event in events(tmp_path))
    with Catalog(tmp_path / "recordings" / CATALOG_NAME, read_only=True) as catalog:
        segments = catalog.segments()
    gaps = [later.started_at_ns - earlier.ended_at_ns for earlier, later in itertools.pairwise(segments)]
    assert all(abs(gap) < 0.3e9 for gap in gaps), gaps


def test_fault_of_ours_does_not_blind_a_camera(clip: Path, tmp_path: Path, rtmp: RtmpServer) -> None:
    """A detector that gives fewer verdicts than it was asked for breaks what nobody thought would break."""

    @ray.remote
    class Liar:
        def detect(self, images: object, camera: str) -> list[object]:
            return []

    liar: Any = Liar
    wanted = config(tmp_path, walk=rtmp.url("lied-to"))
    name = CameraName("walk")
    kinds: tuple[Any, Any] = (Reader, Sink)
    sink = kinds[1].remote("sink", Sealed.of(wanted), "")
    reader = kinds[0].remote("reader:walk", Sealed.of(wanted), "")
    ray.get(reader.read.remote(Sealed.of(wanted.cameras), [liar.remote()], {name: [sink]}))
    camera = SimulatedCamera("walk", clip, rtmp.url("lied-to"))
    camera.start()
    try:
        until(lambda: ray.get(reader.status.remote())[name]["failures"] >= 2, 40)
        until(lambda: ray.get(reader.status.remote())[name]["state"] == "streaming", 20)
    finally:
        camera.stop()
        ray.get(reader.stop.remote())
        for actor in (reader, sink):
            ray.kill(actor)


def exported() -> str:
    """What Prometheus reads of Ray."""
    port = ray.nodes()[0]["MetricsExportPort"]  # type: ignore[no-untyped-call]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def measured(metric: str) -> dict[str, float]:
    """A metric, by camera."""
    found = re.findall(rf'^ray_{metric}\{{.*camera="([^"]+)".*\}} (\S+)$', exported(), re.MULTILINE)
    return {camera: float(value) for camera, value in found}


def told(folder: Path, kind: str) -> list[bool]:
    """Whether the events of a kind have ended, oldest first."""
    return [event.ended_at_ns is not None for event in events(folder) if event.kind == kind]


def test_camera_that_goes_away_and_coverage_are_told(
    clip: Path, tmp_path: Path, rtmp: RtmpServer, elasticsearch: Elasticsearch
) -> None:
    """In the log, by Ray's metrics, and to every server that the configuration names."""
    camera = SimulatedCamera("walk", clip, rtmp.url("goes-away"))
    with Hook() as hook, Loki() as loki, prepared(elasticsearch):
        wanted = config(tmp_path, walk=rtmp.url("goes-away")).model_copy(update={
            "notify": Notify(webhook=ServerUrl(hook.url), quiet=0), "loki": LokiSettings(url=ServerUrl(loki.url)),
            "elasticsearch": ElasticsearchSettings(url=ServerUrl(elasticsearch.url)),
        })  # fmt: skip
        follow_a_camera_that_goes_away(camera, wanted, tmp_path)
        states = [(body["kind"], body["state"]) for _, body in hook.got]
        assert states[:3] == [("camera_offline", state) for state in ("begun", "ended", "begun")]
        components = {dict(labels)["component"] for labels in loki.streams}
        assert {"events", "reader", "storage", "sink"} <= components
        assert loki.problems == []
        ask(f"{elasticsearch.url}/{EVENTS}/_refresh", "POST")
        found = ask(f"{elasticsearch.url}/{EVENTS}/_search", "POST", {"query": {"term": {"camera": "walk"}}, "size": 50})
        told_of = {hit["_source"]["id"] for hit in found["hits"]["hits"]}
        assert {event.id for event in events(tmp_path) if event.kind == "camera_offline"} <= told_of
    lines, bad = component_log.check(tmp_path / "log")
    assert (lines > 0, bad) == (True, [])
    assert (tmp_path / "log" / "reader-walk.jsonl").is_file()


@contextmanager
def prepared(server: Elasticsearch) -> Iterator[None]:
    """With templates, and with pipelines that are empty: this Elasticsearch has no processors."""
    with connect(ElasticsearchSettings(url=ServerUrl(server.url))) as client:
        for name in PIPELINES:
            client.ingest.put_pipeline(id=name, processors=[])
        install_templates(client, 86400.0)
    yield


def follow_a_camera_that_goes_away(camera: SimulatedCamera, wanted: Config, tmp_path: Path) -> None:
    with deployed(wanted) as supervisor:
        until(lambda: told(tmp_path, "camera_offline") == [False], 20)  # it was never there
        camera.start()
        try:
            until(lambda: told(tmp_path, "camera_offline") == [True], 30)
            until(lambda: cluster.status(supervisor)["storage"]["recorders"]["walk"]["coverage_24h"] is not None, 30)
            until(lambda: "walk" in measured("raycctv_recording_coverage_ratio"), 60)
            until(lambda: measured("raycctv_frames_total").get("walk", 0) > 0, 60)
            found = set(re.findall(r"^(ray_\w+)\{", exported(), re.MULTILINE))
            assert {"ray_node_cpu_utilization", "ray_node_mem_used", "ray_raycctv_outbox_depth"} <= found
        finally:
            camera.stop()
        assert 0.9 < measured("raycctv_recording_coverage_ratio")["walk"] <= 1
        until(lambda: told(tmp_path, "camera_offline") == [True, False], 30)
        until(lambda: all(not part.get("owed", 0) for part in cluster.status(supervisor)["sink"]["servers"].values()), 30)
    assert told(tmp_path, "camera_offline") == [True, True]  # its reader was stopped, which is no reason to stay open
    assert told(tmp_path, "recording_gap") == []


def test_analysis_gives_way_to_recording(clip: Path, tmp_path: Path, rtmp: RtmpServer) -> None:
    with deployed(config(tmp_path, first=rtmp.url("first"))) as supervisor:
        found = pids(supervisor)
        until(lambda: bool(cluster.status(supervisor)["storage"]["recorders"]["first"]["pid"]), 20)
        recorder = cluster.status(supervisor)["storage"]["recorders"]["first"]["pid"]
        nice = {name: psutil.Process(pid).nice() for name, pid in {**found, "recorder": recorder}.items()}
    assert nice["reader:first"] > nice["detector:0"] > nice["recorder"] == nice["storage"]


def test_disk_that_is_low_is_told(tmp_path: Path, rtmp: RtmpServer) -> None:
    wanted = config(tmp_path, walk=rtmp.url("not-there"))
    full = Recording(root=wanted.recording.root, keep=Retention(min_free=FreeSpace(fraction=0.9999)))
    with deployed(wanted.model_copy(update={"recording": full})):
        until(lambda: told(tmp_path, "disk_low") == [False], 30)
    (low,) = [event for event in events(tmp_path) if event.kind == "disk_low"]
    assert (low.camera, low.ended_at_ns is None) == ("*", False)
    (line, *_) = [json.loads(line) for line in (tmp_path / "log" / LOG_NAME).read_text().splitlines() if "disk_low" in line]
    assert (line["camera"], line["kind"], line["labels"], line["segments"]) == ("*", "disk_low", {}, [])


def test_killed_supervisor_comes_back_and_touches_nothing(tmp_path: Path, clip: Path) -> None:
    wanted = config(tmp_path, walk=f"file://{clip}")
    with deployed(wanted) as supervisor:
        before = pids(supervisor)
        ray.kill(supervisor, no_restart=False)
        until(lambda: _same(supervisor, before), 60)
        assert pids(cluster.deploy(wanted)) == before  # the same configuration again


def _same(supervisor: Any, expected: dict[str, int]) -> bool:
    try:
        return pids(supervisor) == expected
    except ClusterError:
        return False


def test_changed_configuration_touches_only_what_changed(tmp_path: Path, clip: Path, rtmp: RtmpServer) -> None:
    first = config(tmp_path, stays=f"file://{clip}", goes=f"file://{clip}", changes=f"file://{clip}")
    second = config(tmp_path, stays=f"file://{clip}", comes=f"file://{clip}", changes=rtmp.url("changed"))
    with deployed(first) as supervisor:
        before = pids(supervisor)
        until(lambda: cluster.status(supervisor)["reader:changes"]["state"] in ("streaming", "ended"), 30)
        supervisor = cluster.deploy(second)
        after = pids(supervisor)
        assert cluster.status(supervisor)["reader:changes"]["state"] == "connecting"  # to what is not there
    same = {"sink", "detector:0", "reader:stays"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after.keys() == {*same, "storage", "reader:comes", "reader:changes"}


def test_cameras_that_share_a_reader_come_change_and_go_alone(tmp_path: Path, clip: Path, rtmp: RtmpServer) -> None:
    shared = {"cameras_per_reader": 3}
    first = config(tmp_path, stays=f"file://{clip}", goes=f"file://{clip}", changes=f"file://{clip}")
    second = config(tmp_path, stays=f"file://{clip}", comes=f"file://{clip}", changes=rtmp.url("changed"))

    def said(supervisor: Any, key: str) -> dict[str, Any]:
        return {name: part.get(key) for name, part in cluster.status(supervisor).items() if name.startswith("reader:")}

    with deployed(first.model_copy(update=shared)) as supervisor:
        until(lambda: set(said(supervisor, "state").values()) == {"ended"}, 60)
        frames, before = said(supervisor, "frames")["reader:stays"], set(said(supervisor, "pid").values())
        then = cluster.deploy(second.model_copy(update=shared))
        until(lambda: said(then, "state")["reader:comes"] == "ended", 60)
        assert said(then, "state") == {"reader:stays": "ended", "reader:comes": "ended", "reader:changes": "connecting"}
        assert said(then, "frames")["reader:stays"] == frames  # it was not read again
        assert set(said(then, "pid").values()) == before
        assert set(said(then, "actor").values()) == {"reader:1"}
        (pid,) = before
        os.kill(pid, signal.SIGKILL)
        until(lambda: said(then, "frames") == {"reader:stays": frames, "reader:comes": frames, "reader:changes": 0}, 60)
        assert pid not in said(then, "pid").values()


def test_missing_weights_are_said_and_once_there_the_rest_starts(tmp_path: Path, clip: Path) -> None:
    """The second network's weights cannot be had here; recorders and readers run all the same."""
    wanted = config(tmp_path, walk=f"file://{clip}")
    without = wanted.model_copy(update={"detection": Detection(model="ssdlite320_mobilenet_v3_large")})
    try:
        for _ in range(2):
            with pytest.raises(WeightsMissing, match="raycctv models install ssdlite320_mobilenet_v3_large"):
                cluster.deploy(without)
        cluster.deploy(wanted)
    finally:
        cluster.undeploy(cluster.running())


def test_folder_that_cannot_be_written_is_said(tmp_path: Path, rtmp: RtmpServer) -> None:
    wanted = config(tmp_path, gate=rtmp.url("gate")).model_copy(update={"recording": Recording(root=Path("/proc/footage"))})
    try:
        with pytest.raises(RecordingError, match=r"recording\.root: /proc/footage(/gate/incoming|/\.run)? cannot be written"):
            cluster.deploy(wanted)
    finally:
        cluster.undeploy(cluster.running())


def test_nothing_runs_after_undeploy(tmp_path: Path, clip: Path) -> None:
    with deployed(config(tmp_path, walk=f"file://{clip}")):
        pass
    until(lambda: cluster.running() is None, 10)
    until(lambda: not ray.util.list_named_actors(all_namespaces=True), 10)


def test_passwords_are_in_no_status(tmp_path: Path, free_port: int) -> None:
    wanted = config(tmp_path, gate=f"rtmp://admin:hunter2@127.0.0.1:{free_port}/live/gate")
    with deployed(wanted) as supervisor:
        until(lambda: bool(cluster.status(supervisor)["reader:gate"].get("error")), 20)
        until(lambda: bool(cluster.status(supervisor)["storage"]["recorders"]["gate"]["last_error"]), 20)
        text = json.dumps(cluster.status(supervisor))
    assert "admin:***@" in text
    assert "hunter2" not in text
