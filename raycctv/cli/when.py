"""Instants and spans on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from raycctv.clock import NS_PER_S, SystemClock, parse_iso
from raycctv.config import NODE, load
from raycctv.config.units import parse_duration_s
from raycctv.errors import ConfigError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.types import CameraName, Span

Since = Annotated[str | None, typer.Option(help="Not before: an age (30m, 2h, 7d) or an ISO 8601 time.")]
Until = Annotated[str | None, typer.Option(help="Not after: an age or an ISO 8601 time.")]
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration; says where the recordings are.")]
Root = Annotated[Path | None, typer.Option(help="Folder of recordings, instead of --config.")]


def instant_ns(text: str | None, now_ns: int | None = None) -> int | None:
    """The instant that ``text`` means: ISO 8601, or an age like ``2h``.

    Raises:
        typer.BadParameter: neither.
    """
    if text is None:
        return None
    try:
        return parse_iso(text)
    except ValueError:
        pass
    try:
        age_s = parse_duration_s(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither an ISO 8601 time nor an age like 30m, 2h or 7d") from error
    return (SystemClock().now_ns() if now_ns is None else now_ns) - round(age_s * NS_PER_S)


def span(camera: str, start: str, end: str) -> Span:
    """The span that three words of a command line mean.

    Raises:
        typer.BadParameter: a time that is none, or an end that is not after the start.
    """
    now_ns = SystemClock().now_ns()
    from_ns, to_ns = instant_ns(start, now_ns), instant_ns(end, now_ns)
    assert from_ns is not None
    assert to_ns is not None
    try:
        return Span(CameraName(camera), from_ns, to_ns)
    except ValueError as error:
        raise typer.BadParameter(f"{end!r} is not after {start!r}") from error


def footage_root(config: Path, root: Path | None) -> Path:
    """The folder of recordings that ``--root`` or ``--config`` names, on this machine: each storage node has its own catalog.

    Raises:
        ConfigError: it holds none, or there are several nodes' on this machine.
    """
    folder = root if root is not None else load(config).recording.root
    found = [catalog.parent for catalog in _catalogs(folder)]
    if not found:
        hint = "; ask on a node that records, each has a catalog of its own" if NODE in str(folder) else ""
        raise ConfigError(f"{folder} holds no recordings of raycctv: there is no {CATALOG_NAME}{hint}")
    if len(found) > 1:
        raise ConfigError(f"{folder}: several nodes record here; choose one: {', '.join(f'--root {each}' for each in found)}")
    return found[0]


def _catalogs(folder: Path) -> list[Path]:
    """Catalogs in ``folder``, in which ``{node}`` stands for any name."""
    parts = folder.parts
    first = next((index for index, part in enumerate(parts) if NODE in part), len(parts))
    pattern = Path(*(part.replace(NODE, "*") for part in parts[first:]), CATALOG_NAME)
    return sorted(path for path in Path(*parts[:first]).glob(str(pattern)) if path.is_file())


def open_catalog(config: Path, root: Path | None, *, read_only: bool = True) -> Catalog:
    """The catalog that ``--root`` or ``--config`` names.

    Raises:
        ConfigError: there is none.
    """
    return Catalog(footage_root(config, root) / CATALOG_NAME, read_only=read_only)
