"""Faults of nodes: 4 of them, 16 live cameras, and what each fault costs in footage and in analysis."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from clusters import HEAD, Nodes, joined, noticed, several_nodes
from faults.costs import Bench, Cost
from faults.pipeline import MEASURED_S
from servers.redis import Redis
from sites import Site, recorders, status
from support import until

from actors import cluster
from raycctv.config import Config
from raycctv.process import DetachedProcess
from raycctv.recording.recorder import RUN_DIR
from raycctv.rtmp.server import RtmpServer

pytestmark = [
    pytest.mark.faults, pytest.mark.timeout(1500), pytest.mark.logs_errors, pytest.mark.usefixtures("weights")
]  # fmt: skip

CAMERAS = 16
STORAGE = ("one", "two")
PER_READER = 6
"""Of its share and that of a node that is gone: so one reader serves each node, which two cores can start in time."""

FRAGMENT_S = 1.0
GOP_S = 1.0
AGAIN_S = 15.0
"""Within which what ran on a dead node runs elsewhere, from when Ray notices."""


@contextmanager
def four_nodes(site: Site) -> Iterator[Nodes]:
    with several_nodes(site.root) as nodes:
        for name in ("worker", *STORAGE):
            nodes.add(name, storage=name in STORAGE)
            joined(name)
        yield nodes


def killed(nodes: Nodes, name: str) -> Callable[[], float]:
    def cause() -> float:
        nodes.kill(name)
        return noticed(name)

    return cause


def returned(nodes: Nodes, name: str) -> Callable[[], None]:
    def cause() -> None:
        nodes.add(name, storage=name in STORAGE)
        joined(name)

    return cause


def balanced() -> bool:
    """Every camera has one recorder, which writes, and both storage nodes have as many."""
    found = recorders()
    return len(found) == CAMERAS and [sum(s == f"storage:{name}" for s, _ in found) for name in STORAGE] == [CAMERAS / 2] * 2


def readers_on(node: str) -> int:
    return sum(part.get("node") == node for name, part in status().items() if name.startswith("reader:"))


def kill_supervisor() -> None:
    (pid,) = [p.pid for p in psutil.Process().children(recursive=True) if " ".join(p.cmdline())[:15] == "ray::Supervisor"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(pid) and bool(status()), 60)


DRIVER = """
import sys, time
from pathlib import Path
from actors import cluster
from raycctv.config import load
with cluster.connected(sys.argv[1]):
    cluster.deploy(load(Path(sys.argv[2])))
    print("up", file=sys.__stdout__, flush=True)
    time.sleep(1e6)
"""


def start_driver(nodes: Nodes, file: Path) -> "subprocess.Popen[str]":
    """A job that runs the configuration; returns when all is up."""
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, nodes.address, str(file)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "up\n"
    return driver


def end_driver(driver: "subprocess.Popen[str]") -> None:
    driver.kill()
    driver.wait()
    assert driver.stdout is not None
    driver.stdout.close()


def written(config: Config, folder: Path) -> Path:
    """The configuration as a file."""
    file = folder / "cameras.yaml"
    cameras = {
        name: {"source": camera.source.reveal(), "analysis_source": camera.analysed.reveal()}
        for name, camera in config.cameras.items()
    }
    recording = {"root": str(config.recording.root), "segment_s": config.recording.segment_s}
    whole = {"cameras": cameras, "recording": recording, "logs": {"dir": str(config.logs.dir)}}
    file.write_text(yaml.safe_dump({**whole, "cameras_per_reader": config.cameras_per_reader}))
    return file


def test_nodes_that_die_cost_what_is_promised(tmp_path: Path, rtmp: RtmpServer, clip: Path, costs: list[Cost]) -> None:
    site = Site("node", tmp_path, rtmp, clip, CAMERAS)
    bench = Bench(site, STORAGE, costs)
    with four_nodes(site) as nodes, site.sending():
        driver = start_driver(nodes, written(site.config(PER_READER), tmp_path))
        until(lambda: bench.served() and balanced(), 120)
        try:
            job = bench.strike("driver of the job kill -9", lambda: end_driver(driver))
            supervisor = bench.strike("supervisor kill -9", kill_supervisor)
            worker = bench.strike("worker node gone", killed(nodes, "worker"))
            back = bench.strike(
                "worker node back", returned(nodes, "worker"), lambda: bench.served() and readers_on("worker") == 4
            )
            disk = bench.strike("storage node gone", killed(nodes, "two"))
            again = bench.strike("storage node back", returned(nodes, "two"), lambda: bench.served() and balanced())
            cluster.reload(site.config(PER_READER, replicas=2))
            until(lambda: len(recorders()) == 2 * CAMERAS, 120)
            replica = bench.strike("storage node gone, cameras recorded by two", killed(nodes, "two"))
            bench.strike("storage node back, cameras recorded by two", returned(nodes, "two"), lambda: bench.served(2))
            bench.count()
        finally:
            cluster.undeploy(cluster.running())
    for cost in (job, supervisor, worker, back, again, replica):
        assert cost.unrecorded_s <= MEASURED_S, cost
    assert job.unread_s == supervisor.unread_s == 0
    for cost in (worker, disk, replica):
        assert cost.noticed_s is not None
        assert cost.again_s - cost.noticed_s < AGAIN_S
    assert disk.unrecorded_s <= disk.again_s + FRAGMENT_S + GOP_S + MEASURED_S


def pids_of_recorders(site: Site) -> dict[str, int]:
    found = {}
    for node in STORAGE:
        run_dir = Path(site.root.replace("{node}", node)) / RUN_DIR
        for file in run_dir.glob("recorder-*.pid"):
            process = DetachedProcess.adopt(file.stem, run_dir)
            if process is not None:
                found[f"{node} {file.stem}"] = process.pid
    return found


@pytest.mark.parametrize("kept", [False, True], ids=["GCS in memory", "GCS in Redis"])
def test_head_that_dies_stops_no_recorder(kept: bool, tmp_path: Path, rtmp: RtmpServer, clip: Path, costs: list[Cost]) -> None:
    site = Site(f"head{kept:d}", tmp_path, rtmp, clip, CAMERAS)
    bench = Bench(site, STORAGE, costs)
    file = written(site.config(PER_READER), tmp_path)
    with (
        Redis() as redis,
        several_nodes(site.root, redis.environment if kept else {}, connect=False) as nodes,
        site.sending(),
    ):

        def up() -> None:
            for number, name in enumerate(("worker", *STORAGE), start=2):
                nodes.add(name, storage=name in STORAGE)
                nodes.await_alive(number)
            end_driver(start_driver(nodes, file))

        def head_returns() -> None:
            nodes.kill_ray(HEAD)
            if not kept:  # who runs the cluster starts it anew, as after a power cut
                for name in ("worker", *STORAGE):
                    nodes.kill_ray(name)
            nodes.start_head()
            if not kept:
                up()

        up()
        until(bench.served, 120)
        recorders = pids_of_recorders(site)
        assert len(recorders) == CAMERAS
        cost = bench.strike(f"head gone and back, Ray's state in {'Redis' if kept else 'memory'}", head_returns)
        assert pids_of_recorders(site) == recorders
        bench.count()
        nodes.run("from actors import cluster; cluster.undeploy(cluster.running())")
    assert cost.unrecorded_s <= MEASURED_S, cost
