"""The actors on several nodes, which die: real raylets, real recorders."""

from pathlib import Path

import pytest
from clusters import joined, noticed, several_nodes
from sites import Site, readers, recorded, recorded_ns, recorders, running
from support import until

from actors import cluster
from raycctv.rtmp.server import RtmpServer

pytestmark = [pytest.mark.usefixtures("weights"), pytest.mark.logs_errors]

AGAIN_S = 15.0
"""Within which what ran on a dead node runs elsewhere, from when Ray notices."""


def test_dead_node_is_replaced_and_a_reloaded_camera_disturbs_nobody(tmp_path: Path, rtmp: RtmpServer, clip: Path) -> None:
    site = Site("short", tmp_path, rtmp, clip, cameras=4)
    few = site.config()
    first = few.model_copy(update={"cameras": dict(list(few.cameras.items())[:3])})
    with several_nodes(site.root) as nodes:
        nodes.add("disk", storage=True)
        joined("disk")
        nodes.add("worker")
        joined("worker")
        with running(site, first):
            before, recording = readers(), recorders()
            assert {storage for storage, _ in recording} == {"storage:disk"}
            assert {node for node, _ in before.values()} == {"head", "disk", "worker"}

            assert cluster.reload(few)["added"] == [site.names[3]]
            assert until(lambda: recorded(4), 20) < 5
            until(lambda: len(readers()) == 4, 20)
            assert {name: readers()[name] for name in before} == before
            assert {key: recorders()[key] for key in recording} == recording

            nodes.kill("worker")
            noticed("worker")
            assert until(lambda: len(readers()) == 4 and "worker" not in {node for node, _ in readers().values()}, 60) < AGAIN_S
            assert {key: recorders()[key] for key in recording} == recording  # no recorder has noticed anything
    assert all(recorded_ns(site, ["disk"], 0).values())
