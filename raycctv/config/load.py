"""From a YAML file to a :class:`~raycctv.config.schema.Config`, with errors that say where and what would be right."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from raycctv.config import secrets
from raycctv.config.schema import Config, Tls
from raycctv.config.units import Url
from raycctv.errors import ConfigError
from raycctv.redact import redact

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in the YAML file ``path``.

    ``${NAME}`` in any text is replaced from ``environment`` (by default the process's own, and :mod:`.secrets`) here, once;
    nothing reads it later. Relative folders in the file are relative to the file.

    Raises:
        ConfigError: unreadable, no YAML, or not what the schema allows; names the file, the line or the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    config = parse(text, str(path), secrets.environment() if environment is None else environment)
    return _validated(_anchored(config, path.resolve().parent), str(path))


def parse(text: str, name: str = "configuration", environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in YAML ``text``; ``name`` stands for the file in errors.

    Raises:
        ConfigError: as for :func:`load`.
    """
    try:
        document = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        raise ConfigError(f"{where}: {error.problem or 'this is no YAML'}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{name}: is empty or no mapping; it needs at least: cameras: {{NAME: {{source: URL}}}}")
    return _validated(_expanded(document, name, (), {} if environment is None else environment), name)


def digest(section: BaseModel) -> str:
    """A short hash of everything that ``section`` says, secrets included: equal exactly when nothing changed."""

    def reveal(value: object) -> str:
        return value.reveal() if isinstance(value, Url) else str(value)

    text = json.dumps(section.model_dump(mode="python"), default=reveal, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML, but a key that stands twice is an error rather than a silent loss of the first camera."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _expanded(value: Any, name: str, place: tuple[str, ...], environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: _expanded(v, name, (*place, str(k)), environment) for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v, name, (*place, str(i)), environment) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ConfigError(f"{name}: {'.'.join(place)}: the environment variable {match[1]} is not set")
        return environment[match[1]]

    return _VARIABLE.sub(variable, value)


def _validated(document: Any, name: str) -> Config:
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError("; ".join(f"{name}: {_explain(detail)}" for detail in error.errors())) from None


def _explain(detail: ErrorDetails) -> str:
    """One error of pydantic's in a line: the key, what is wrong, what would be right. Never the value of a secret."""
    place = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    if detail["type"] == "extra_forbidden":
        return f"{place}: unknown key{_suggestion(detail['loc'])}"
    message = detail["msg"].removeprefix("Value error, ")
    return redact(f"{place}: {message}" if place else message)


def _suggestion(loc: tuple[int | str, ...]) -> str:
    known = list(_keys_at(Config, loc[:-1]))
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(known)}"


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> Iterator[str]:
    """The keys that the schema knows at a place."""
    if not loc:
        yield from model.model_fields
        return
    field = model.model_fields[str(loc[0])]
    inner = _model_in(field.annotation)
    if inner is not None:
        step = 2 if get_origin(field.annotation) is dict else 1  # a name stands between
        yield from _keys_at(inner, loc[step:])


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_model_in, get_args(annotation)) if found), None)


def _anchored(config: Config, folder: Path) -> dict[str, Any]:
    """The document of ``config`` with its relative folders in ``folder``."""
    recording = {**dict(config.recording), "root": folder / config.recording.root}
    copies = config.recording.copy_events
    if copies is not None and "://" not in copies.to:
        recording["copy_events"] = copies.model_copy(update={"to": str(folder / copies.to)})
    search = config.elasticsearch
    if search is not None and search.ca is not None:
        search = search.model_copy(update={"ca": folder / search.ca})
    logs = {**dict(config.logs), "dir": folder / config.logs.dir}
    console = config.console
    if console is not None and console.tls is not None:
        tls = Tls(certificate=folder / console.tls.certificate, key=folder / console.tls.key)
        console = console.model_copy(update={"tls": tls})
    return {**dict(config), "recording": recording, "logs": logs, "elasticsearch": search, "console": console}
