"""The nodes of the connected cluster."""

import re
from collections import Counter
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.placement import Node

STORAGE = "storage"
"""The custom resource of nodes that keep footage."""

_HEAD = "node:__internal_head__"
"""A resource that every head has. Source: Ray 2.60, _private/resource_spec.py, HEAD_NODE_RESOURCE_NAME."""

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")


def alive() -> list[Node]:
    """Nodes that Ray takes for alive, the head first."""
    found: list[dict[str, Any]] = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    names = Counter(_name(node) for node in found)
    nodes = [_node(node, _name(node) if names[_name(node)] == 1 else f"{_name(node)}-{node['NodeID'][:6]}") for node in found]
    return sorted(nodes, key=lambda node: (not node.head, node.name))


def on(node_id: str, *, soft: bool = False) -> NodeAffinitySchedulingStrategy:
    """Run an actor on that node: there or, where ``soft``, elsewhere if it is gone.

    An actor that may run there only dies with the node, and its name is free at once.
    """
    return NodeAffinitySchedulingStrategy(node_id, soft=soft)


def _name(node: dict[str, Any]) -> str:
    return _UNFIT.sub("-", node["NodeName"] or node["NodeManagerAddress"])


def _node(node: dict[str, Any], name: str) -> Node:
    resources = node["Resources"]
    return Node(
        id=node["NodeID"],
        name=name,
        called=frozenset({node["NodeName"], node["NodeManagerAddress"], node["NodeManagerHostname"]}),
        labels=dict(node.get("Labels") or {}),
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        storage=resources.get(STORAGE, 0.0),
        head=_HEAD in resources,
    )
