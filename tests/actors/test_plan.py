"""What should run where, of nodes that come and go."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.placement import Node
from actors.plan import NO_STORAGE, Before, Plan, plan
from raycctv.config import Camera, Config
from raycctv.types import CameraName

HEAD = Node("h", "head", cpus=2, head=True)
WORKER = Node("w", "worker", labels={"site": "north"}, cpus=2)
ONE, TWO = (Node(name[0], name, cpus=2, storage=1) for name in ("one", "two"))
CLUSTER = [HEAD, WORKER, ONE, TWO]


def config(count: int = 8, **settings: Any) -> Config:
    """Cameras ``c0``, ``c1``, ..."""
    cameras = {f"c{n}": {"source": f"rtmp://server/live/c{n}"} for n in range(count)}
    return Config.model_validate({"cameras": cameras, **settings})


def with_camera(whole: Config, name: str, **settings: Any) -> Config:
    camera = Camera.model_validate({"source": f"rtmp://server/live/{name}", **settings})
    return whole.model_copy(update={"cameras": {**whole.cameras, CameraName(name): camera}})


def after(planned: Plan, nodes: Sequence[Node], recording: Mapping[CameraName, set[str]] | None = None) -> Before:
    """How things are when a plan was carried out on these nodes."""
    return Before(
        nodes={node.name for node in nodes},
        storage_nodes={node.name for node in nodes if node.storage},
        readers={camera: reader for reader, cameras in planned.reads.items() for camera in cameras},
        located={name: placed.node.name for name, placed in planned.actors.items()},
        keepers=planned.keepers,
        held=planned.records,
        recording=recording or {},
    )


def all_record(planned: Plan) -> dict[CameraName, set[str]]:
    return {camera: {s for s, own in planned.records.items() if camera in own} for camera in planned.keepers}


def where(planned: Plan) -> dict[str, str]:
    return {name: placed.node.name for name, placed in planned.actors.items()}


def test_one_machine_has_one_of_everything_and_plain_names() -> None:
    planned = plan(config(2), [HEAD], Before())
    assert list(planned.actors) == ["sink", "storage", "detector:0", "reader:c0", "reader:c1"]
    assert planned.records == {"storage": ["c0", "c1"]}
    assert planned.sinks == {"c0": ["sink"], "c1": ["sink"]}
    assert planned.asks == {"reader:c0": ["detector:0"], "reader:c1": ["detector:0"]}
    assert (planned.waits, planned.lacks, planned.hands_over) == ({}, {}, False)


def test_readers_are_spread_and_footage_is_kept_where_there_are_disks() -> None:
    planned = plan(config(8), CLUSTER, Before())
    assert Counter(where(planned)[reader] for reader in planned.reads) == dict.fromkeys(("head", "worker", "one", "two"), 2)
    assert {name: place for name, place in where(planned).items() if name.startswith("s")} == {
        "sink:one": "one", "storage:one": "one", "sink:two": "two", "storage:two": "two"
    }  # fmt: skip
    assert {name: len(cameras) for name, cameras in planned.records.items()} == {"storage:one": 4, "storage:two": 4}
    assert all(planned.sinks[camera] == [f"sink:{own[0].partition(':')[2]}"] for camera, own in planned.keepers.items())


def test_dead_worker_costs_its_readers_a_move_and_nothing_else() -> None:
    first = plan(config(8), CLUSTER, Before())
    left = [HEAD, ONE, TWO]
    then = plan(config(8), left, after(first, CLUSTER))
    moved = {reader for reader in first.reads if where(first)[reader] == "worker"}
    assert {name for name, place in where(then).items() if place != where(first)[name]} - moved <= {"detector:0"}
    assert then.records == first.records
    assert max(Counter(where(then)[reader] for reader in then.reads).values()) == 3


def test_dead_storage_node_is_replaced_and_takes_its_share_again_when_every_camera_is_recorded_twice() -> None:
    first = plan(config(8), CLUSTER, Before())
    left = [HEAD, WORKER, ONE]
    alone = plan(config(8), left, after(first, CLUSTER))
    assert set(alone.records["storage:one"]) == set(config(8).cameras)
    returned = [HEAD, WORKER, ONE, replace(TWO, id="another")]
    handing = plan(config(8), returned, after(alone, left, all_record(alone)))
    moving = set(handing.records["storage:two"])
    assert len(moving) == 4
    assert set(handing.records["storage:one"]) == set(config(8).cameras)  # until the new recorders write
    assert handing.hands_over
    still = plan(config(8), returned, after(handing, returned, {camera: {"storage:one"} for camera in moving}))
    assert still.records == handing.records
    done = plan(config(8), returned, after(still, returned, all_record(still)))
    assert set(done.records["storage:one"]) == set(config(8).cameras) - moving
    assert done.keepers == handing.keepers
    assert not done.hands_over


def test_replica_is_recorded_elsewhere_and_becomes_the_first_when_that_dies() -> None:
    wanted = config(4, recording={"replicas": 2})
    first = plan(wanted, CLUSTER, Before())
    assert all(set(own) == {"storage:one", "storage:two"} for own in first.keepers.values())
    assert all(len(sinks) == 2 for sinks in first.sinks.values())
    left = [HEAD, WORKER, ONE]
    then = plan(wanted, left, after(first, CLUSTER))
    assert all(own == ["storage:one"] for own in then.keepers.values())
    assert then.records == {"storage:one": list(wanted.cameras)}
    assert then.lacks == dict.fromkeys(wanted.cameras, "waits: recorded by 1 of 2 storage nodes; no other is alive")
    again = plan(wanted, CLUSTER, after(then, left))
    assert Counter(own[0] for own in again.keepers.values()) == {"storage:one": 2, "storage:two": 2}
    assert again.records == {storage: list(wanted.cameras) for storage in ("storage:one", "storage:two")}
    assert again.lacks == {}


def test_camera_may_have_replicas_of_its_own() -> None:
    planned = plan(with_camera(config(2), "vault", replicas=2), CLUSTER, Before())
    assert {camera: len(own) for camera, own in planned.keepers.items()} == {"c0": 1, "c1": 1, "vault": 2}


def test_pinned_camera_is_read_where_it_should_be_or_says_what_it_waits_for() -> None:
    wanted = with_camera(with_camera(config(8), "north", node="site=north"), "disk", node="two")
    planned = plan(wanted, CLUSTER, Before())
    assert where(planned)["reader:north"] == "worker"
    assert (where(planned)["reader:disk"], planned.keepers[CameraName("disk")]) == ("two", ["storage:two"])
    then = plan(wanted, [HEAD, ONE, TWO], after(planned, CLUSTER))
    assert then.waits == {"reader:north": "waits: no node that is alive fits node: site=north"}
    assert "reader:north" not in then.actors
    assert then.keepers[CameraName("north")] == planned.keepers[CameraName("north")]  # footage does not wait


def test_without_any_storage_node_alive_footage_waits_and_says_so() -> None:
    first = plan(config(2), CLUSTER, Before())
    then = plan(config(2), [HEAD, WORKER], after(first, CLUSTER))
    assert then.waits == {"sink": NO_STORAGE, "storage": NO_STORAGE}
    assert then.records == {}
    assert set(then.reads) == {"reader:c0", "reader:c1"}


def test_relayed_camera_moves_only_when_it_must() -> None:
    wanted = config(1)
    for n in range(3):
        wanted = with_camera(wanted, f"pulled{n}", pull=f"rtsp://camera{n}/stream")
    first = plan(wanted, [HEAD, ONE], Before())
    then = plan(wanted, CLUSTER, after(first, [HEAD, ONE]))
    assert all(then.keepers[name] == ["storage:one"] for name in then.keepers if name != "c0")
    dead = plan(wanted, [HEAD, TWO], after(then, CLUSTER))
    assert all(own == ["storage:two"] for own in dead.keepers.values())


def test_detectors_run_on_gpus_where_there_are_any_and_readers_ask_those_beside_them() -> None:
    gpu = Node("g", "gpu", cpus=2, gpus=1)
    planned = plan(config(2, detection={"actors": 2}), [HEAD, gpu], Before())
    assert [planned.actors[f"detector:{n}"].node.name for n in range(2)] == ["gpu", "gpu"]
    assert [planned.actors[f"detector:{n}"].gpus for n in range(2)] == [0.5, 0.5]
    beside = plan(config(8, detection={"actors": 2}), [HEAD, WORKER], Before())
    assert Counter(beside.actors[f"detector:{n}"].node.name for n in range(2)) == {"head": 1, "worker": 1}
    for reader, asked in beside.asks.items():
        (detector,) = asked
        assert where(beside)[detector] == where(beside)[reader]


def test_camera_that_comes_changes_no_other_actor() -> None:
    first = plan(config(8), CLUSTER, Before())
    then = plan(with_camera(config(8), "new"), CLUSTER, after(first, CLUSTER, all_record(first)))
    assert {name: own for name, own in then.wanted().items() if name != "reader:new"} == first.wanted()
    assert {s: [c for c in own if c != "new"] for s, own in then.records.items()} == first.records


def test_more_replicas_replace_no_actor() -> None:
    first = plan(config(8), CLUSTER, Before())
    then = plan(config(8, recording={"replicas": 2}), CLUSTER, after(first, CLUSTER, all_record(first)))
    assert then.wanted() == first.wanted()
    assert all(len(own) == 8 for own in then.records.values())


NODES = st.lists(st.integers(1, 3), unique=True).map(lambda others: [HEAD, *(CLUSTER[n] for n in others)])


@given(st.lists(NODES, min_size=1, max_size=5), st.integers(1, 12), st.integers(1, 2))
def test_whatever_comes_and_goes_every_camera_is_read_once_and_recorded_as_often_as_it_can_be(
    history: list[list[Node]], cameras: int, replicas: int
) -> None:
    wanted = config(cameras, recording={"replicas": replicas})
    before, known = Before(), set[str]()
    for nodes in history:
        known |= {node.name for node in nodes if node.storage}
        planned = plan(wanted, nodes, replace(before, storage_nodes=known))
        assert sorted(camera for own in planned.reads.values() for camera in own) == sorted(wanted.cameras)
        storages = [node for node in nodes if node.storage] or ([] if known else [HEAD])
        assert all(len(own) == min(replicas, len(storages)) == len(set(own)) for own in planned.keepers.values())
        assert all(camera in planned.records[s] for camera, own in planned.keepers.items() for s in own)
        assert set(where(planned).values()) <= {node.name for node in nodes}
        kept = {camera for own in before.held.values() for camera in own}
        lost = {s for s in before.held if s not in planned.records}
        for camera in kept if storages else ():  # whoever records goes on until somebody else does
            held = [s for s, own in before.held.items() if camera in own and s not in lost]
            assert not held or any(camera in planned.records[s] for s in held)
        before = after(planned, nodes)
