"""Imports point one way: see docs/architecture.md."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

BASE = {"types", "errors", "clock", "redact", "backoff", "process", "sealing", "window", "usage", "search"}
CAPABILITIES = {"capture", "motion", "detection", "events", "recording", "sinks", "rtmp"}
LAYERS = [
    BASE, {"config"}, CAPABILITIES,
    {"pipeline", "health", "load", "picture", "simulate"}, {"live", "storage"}, {"console"}, {"cli"},
]  # fmt: skip
HEAVY = {"cv2", "av", "torch", "torchvision", "openvino", "ffmpeg"}


def modules(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def imported(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Full names of what a module imports; what stands under TYPE_CHECKING is not imported."""
    tree = ast.parse(path.read_text())
    nodes = iter(tree.body) if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(name: str) -> str | None:
    """The part of the library that a full name lies in."""
    steps = name.split(".")
    return steps[1] if steps[0] == "raycctv" and len(steps) > 1 else None


def layer(part_name: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if part_name in names)


def test_every_part_has_its_layer() -> None:
    parts = {path.relative_to(REPOSITORY / "raycctv").parts[0].removesuffix(".py") for path in modules("raycctv")}
    assert parts - {"__init__"} == set().union(*LAYERS)


@pytest.mark.parametrize("path", modules("raycctv"), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_point_one_way(path: Path) -> None:
    own = path.relative_to(REPOSITORY / "raycctv").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for name in imported(path):
        assert name.split(".")[0] != "ray", "the library knows no Ray"
        assert name.split(".")[0] != "actors" or own == "cli", "the library knows no actors"
        other = part(name)
        if other in (None, own, "__version__"):
            continue
        assert other is not None
        assert layer(other) <= layer(own), f"{own} imports {name}"
        if own in CAPABILITIES:
            assert other not in CAPABILITIES, f"{own} imports its sibling {name}"


@pytest.mark.parametrize("path", modules("actors"), ids=lambda path: path.name)
def test_actors_import_nothing_heavy_at_module_level(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path, top_level_only=True)} & HEAVY


def test_actors_are_imported_without_what_only_some_of_them_need() -> None:
    code = f"import sys, actors.supervisor; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_command_line_shows_its_help_without_loading_what_works() -> None:
    slow = {"cv2", "torch", "torchvision", "openvino", "ray"}
    code = f"import sys, raycctv.cli.main; print(sorted({slow!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
