"""A camera's settings in the text of a configuration file: what is not changed keeps every character.

The text is parsed for where things stand, and only values that differ are replaced there. So comments, order, quotes,
``${NAME}`` and the layout of all other cameras survive, and a difference is as small as what was changed. The result is
parsed again and must say exactly what was wanted: whatever this cannot do (values that cameras share by a YAML anchor,
most of all) is an error and no damage.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node

from raycctv.config import Camera, Config, parse
from raycctv.config.schema import ObjectRule, Polygon
from raycctv.console.setup.settings import Settings
from raycctv.errors import ConfigError
from raycctv.types import CameraName

_DECIMALS = 4
"""Of corners: a ten-thousandth of 4K is a third of a pixel."""

_STEP = 2
_ALIAS = re.compile(r"\s*\*[^\s,\]}]+")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Edit:
    """``text`` in place of the characters from ``start`` up to ``end``."""

    start: int
    end: int
    text: str


def edited(text: str, camera: CameraName, settings: Settings, environment: Mapping[str, str]) -> str:
    """The configuration ``text`` with the settings of one camera.

    Args:
        environment: gives the values of ``${NAME}``, as for :func:`raycctv.config.parse`.

    Raises:
        ConfigError: the text is no configuration, or has no such camera; the settings do not agree with each other; or they
            cannot be written without changing something else, so that somebody must edit the file.
    """
    before = parse(text, "the configuration", environment)
    if camera not in before.cameras:
        raise ConfigError(f"the configuration has no camera {camera!r}")
    settings = _rounded(settings, before.cameras[camera])
    wanted = _with(before, camera, settings.on(before.cameras[camera]))
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    node = _child(_child(root, "cameras"), camera)
    if not isinstance(node, MappingNode):
        raise _not_here(camera)
    changed = _changed(before.cameras[camera], settings, _plain(node))
    after = _applied(text, _Editor(text).merge(node, changed))
    if _parsed(after, camera, environment) != wanted:
        raise _not_here(camera)
    return after


def _with(config: Config, name: CameraName, camera: Camera) -> Config:
    return config.model_copy(update={"cameras": {**config.cameras, name: camera}})


def _parsed(text: str, camera: CameraName, environment: Mapping[str, str]) -> Config:
    try:
        return parse(text, "the configuration", environment)
    except ConfigError:
        raise _not_here(camera) from None


def _not_here(camera: CameraName) -> ConfigError:
    return ConfigError(f"{camera} cannot be changed from here, since the file shares parts of it; edit the file")


def _rounded(settings: Settings, camera: Camera) -> Settings:
    """With corners as they are written; a polygon that is as it was stays so to the last digit."""

    def kept(new: Mapping[str, Polygon], old: Mapping[str, Polygon]) -> dict[str, Polygon]:
        written = {name: _corners(polygon) for name, polygon in old.items()}
        return {
            name: old[name] if written.get(name) == _corners(polygon) else _corners(polygon) for name, polygon in new.items()
        }

    return settings.model_copy(
        update={"masks": kept(settings.masks, camera.masks), "zones": kept(settings.zones, camera.zones)}
    )


def _corners(polygon: Polygon) -> Polygon:
    return tuple((round(x, _DECIMALS), round(y, _DECIMALS)) for x, y in polygon)


def _changed(camera: Camera, settings: Settings, written: Document) -> Document:
    """What must be written, by key; None for a key that goes."""
    before = Settings.of(camera)
    changed: Document = {}
    for key in ("masks", "zones"):
        if getattr(settings, key) != getattr(before, key):
            polygons = {name: [list(corner) for corner in polygon] for name, polygon in getattr(settings, key).items()}
            changed[key] = polygons or None
    if settings.objects != before.objects:
        rules = written.get("objects") or {}
        changed["objects"] = {label: _rule(rule, rules.get(label)) for label, rule in settings.objects.items()}
    if settings.motion != before.motion:
        changed["motion"] = settings.motion.model_dump(exclude_none=True) or None
    return changed


def _rule(rule: ObjectRule, written: Document | None) -> Document:
    """What a rule says, but for defaults that nobody has written."""
    said = {"min_score": rule.min_score, "min_views": rule.min_views, "zones": list(rule.zones)}
    default = {**ObjectRule().model_dump(), "zones": []}
    kept = {"min_score"} if written is None else set(written)
    return {key: value for key, value in said.items() if key in kept or value != default[key]}


class _Editor:
    """Edits that make parts of a text say something else."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def merge(self, node: MappingNode, wanted: Document) -> list[_Edit]:
        """Edits after which the mapping has each key of ``wanted``, with that value; None for a key that goes."""
        there = {key.value: (key, value) for key, value in node.value}
        gone = [name for name, value in wanted.items() if value is None and name in there]
        if gone and node.flow_style:
            return [self._rebuilt(node, wanted)]
        edits = [self._deletion(*there[name]) for name in gone]
        for name, value in wanted.items():
            if value is not None and name in there:
                edits += self._replacement(*there[name], value)
        new = {name: value for name, value in wanted.items() if value is not None and name not in there}
        return edits + ([self._insertion(node, new)] if new else [])

    def _replacement(self, key: Node, node: Node, value: Any) -> list[_Edit]:
        if _plain(node) == value:
            return []
        if isinstance(node, MappingNode) and node.value and value and not self._alias(key):
            gone = {name.value: None for name, _ in node.value if name.value not in value}
            return self.merge(node, gone | value)
        return [_Edit(self._after_colon(key), self._value_end(key, node), " " + _flow(value))]

    def _deletion(self, key: Node, node: Node) -> _Edit:
        """Of the lines of an entry of a block, with what is written behind it."""
        start = self._text.rfind("\n", 0, key.start_mark.index) + 1
        return _Edit(start, self._next_line(self._value_end(key, node)), "")

    def _rebuilt(self, node: MappingNode, wanted: Document) -> _Edit:
        """A mapping in braces with fewer entries; those that stay as they are keep their text."""
        entries = []
        for key, value in node.value:
            if key.value not in wanted or _plain(value) == wanted[key.value]:
                entries.append(self._text[key.start_mark.index : self._value_end(key, value)])
            elif wanted[key.value] is not None:
                entries.append(_entry(key.value, wanted[key.value]))
        there = {key.value for key, _ in node.value}
        entries += [_entry(name, value) for name, value in wanted.items() if name not in there and value is not None]
        start = self._text.index("{", node.start_mark.index)
        return _Edit(start, node.end_mark.index, "{" + ", ".join(entries) + "}")

    def _insertion(self, node: MappingNode, new: Document) -> _Edit:
        end = self._value_end(*node.value[-1])
        if node.flow_style:
            return _Edit(end, end, "".join(f", {_entry(name, value)}" for name, value in new.items()))
        at = self._next_line(end)
        column = node.value[0][0].start_mark.column
        lines = [line for name, value in new.items() for line in _block(name, value, column)]
        before = "" if self._text[:at].endswith("\n") else self._newline
        return _Edit(at, at, before + "".join(line + self._newline for line in lines))

    def _after_colon(self, key: Node) -> int:
        return self._text.index(":", _end(key)) + 1

    def _alias(self, key: Node) -> re.Match[str] | None:
        """The alias that stands for a value, which itself stands elsewhere."""
        return _ALIAS.match(self._text, self._after_colon(key))

    def _value_end(self, key: Node, node: Node) -> int:
        alias = self._alias(key)
        return alias.end() if alias else max(self._after_colon(key), _end(node))

    def _next_line(self, index: int) -> int:
        found = self._text.find("\n", index)
        return len(self._text) if found < 0 else found + 1


def _end(node: Node) -> int:
    """Where a value ends; a block ends with the last thing in it, not where the parser notices."""
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return max(_end(node.value[-1][0]), _end(node.value[-1][1]))
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _child(node: Node | None, name: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _plain(node: Node) -> Any:
    """What a node says, as plain values."""
    return yaml.constructor.SafeConstructor().construct_document(node)


def _entry(name: str, value: Any) -> str:
    return f"{_flow(name)}: {_flow(value)}"


def _block(name: str, value: Any, column: int) -> list[str]:
    """Lines of a new entry: mappings one entry a line, down to polygons and rules, which stand in one line each."""
    start = " " * column + _flow(name) + ":"
    if isinstance(value, dict) and value and all(isinstance(part, dict | list) for part in value.values()):
        return [start, *(line for key, part in value.items() for line in _block(key, part, column + _STEP))]
    return [" " * column + _entry(name, value)]


def _flow(value: Any) -> str:
    """A value in one line, quoted where YAML would take it for something else."""
    lines = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return lines.removesuffix("\n").removesuffix("\n...")


def _applied(text: str, edits: list[_Edit]) -> str:
    """Of two at one place the inner, which was found first, comes first."""
    parts: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        parts += [text[done : edit.start], edit.text]
        done = edit.end
    return "".join(parts) + text[done:]
