"""Footage to hand over: jobs that write a span to files, one after the other, and what they wrote.

Each has a folder ``<root>/.exports/<id>/`` with ``export.json``, the footage, what is to be known of it (gaps, who asked), and
``<name>.sha256``, which ``sha256sum -c`` accepts. What a crash interrupts is done again at the next start.
"""

import hashlib
import logging
import re
import secrets
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from raycctv.clock import NS_PER_S, Clock, iso, parse_iso
from raycctv.config import Config, Console
from raycctv.errors import ConsoleError, RaycctvError
from raycctv.recording import export as exporting
from raycctv.recording.catalog import Catalog
from raycctv.recording.layout import STAMP_FORMAT, fsync
from raycctv.types import CameraName, Segment, Span

log = logging.getLogger(__name__)

FOLDER = ".exports"
_FACTS = "export.json"
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_BLOCK_BYTES = 1 << 20
_WRITING, _COPYING, _CODING = 0.8, 0.2, 0.95
"""Share of the work that is done once the footage is copied; with coding anew, once it is copied and once it is coded. The rest
is its checksum."""


class ExportRefused(ConsoleError):
    """Not now, or not so much. The message says what would help."""


class Gap(BaseModel):
    """A stretch that was not recorded."""

    from_: str = Field(alias="from")
    to: str
    duration_s: float

    model_config = {"populate_by_name": True}


class ExportedFile(BaseModel):
    """A file of an export.

    Attributes:
        from_, to: what it shows; it begins at the keyframe before, unless the export is exact.
    """

    name: str
    size_bytes: int
    sha256: str
    from_: str = Field(alias="from")
    to: str
    recorded_s: float
    gaps: list[Gap]

    model_config = {"populate_by_name": True}


class Export(BaseModel):
    """One job.

    Attributes:
        exact: cut at the frame, for which the video is coded anew.
        progress: 0 to 1.
        checksums: name of the file that ``sha256sum -c`` reads.
    """

    id: str
    camera: str
    from_: str = Field(alias="from")
    to: str
    exact: bool = False
    note: str = ""
    by: str
    created_at: str
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    progress: float = 0.0
    error: str | None = None
    files: list[ExportedFile] = []
    checksums: str | None = None

    model_config = {"populate_by_name": True}

    @property
    def span(self) -> Span:
        return Span(CameraName(self.camera), parse_iso(self.from_), parse_iso(self.to))

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


class _Deleted(Exception):
    """Somebody has deleted the export that is under way."""


class Exports:
    """All exports of a recording folder. Thread-safe. Nothing runs while there is nothing to do.

    Args:
        config: as it is now.
        catalog: of the footage.
    """

    def __init__(self, config: Callable[[], Config], catalog: Callable[[], Catalog], clock: Clock) -> None:
        self._config, self._catalog, self._clock = config, catalog, clock
        self._lock = threading.Lock()
        self._due: deque[str] = deque()
        self._worker: threading.Thread | None = None
        self._closing = False
        self._exports = {export.id: export for export in self._read()}
        for export in sorted(self._exports.values(), key=lambda one: one.id):
            if export.state in ("waiting", "running"):
                self._again(export)

    @property
    def folder(self) -> Path:
        return self._config().recording.root / FOLDER

    def all(self) -> list[Export]:
        """Newest first."""
        with self._lock:
            return [one.model_copy() for one in sorted(self._exports.values(), key=lambda one: one.id, reverse=True)]

    def get(self, export_id: str) -> Export | None:
        with self._lock:
            export = self._exports.get(export_id)
            return None if export is None else export.model_copy()

    def create(self, span: Span, by: str, *, exact: bool = False, note: str = "") -> Export:
        """Begin one.

        Raises:
            ExportRefused: there is nothing in that span, or no room for it.
        """
        segments = self._catalog().segments(span.camera, span.from_ns, span.to_ns)
        if not segments:
            raise ExportRefused(f"{span.camera} has no footage from {iso(span.from_ns)} to {iso(span.to_ns)}")
        now_ns = self._clock.now_ns()
        export = Export(
            id=f"{_stamp(now_ns)}-{secrets.token_hex(4)}", camera=span.camera, from_=iso(span.from_ns), to=iso(span.to_ns),
            exact=exact, note=note, by=by, created_at=iso(now_ns),
        )  # fmt: skip
        with self._lock:
            self._check_room(_bytes_within(segments, span))
            self._exports[export.id] = export
            try:
                (self.folder / export.id).mkdir(parents=True)
                self._save(export)
            except OSError as error:
                del self._exports[export.id]
                shutil.rmtree(self.folder / export.id, ignore_errors=True)
                raise ExportRefused(f"{self.folder} cannot be written: {error.strerror}") from error
            self._start(export.id)
            return export.model_copy()

    def delete(self, export_id: str) -> bool:
        """Delete one and its files, whatever its state; returns whether there was one."""
        with self._lock:
            export = self._exports.pop(export_id, None)
        if export is not None:  # a worker that writes it notices, and deletes what it still writes
            shutil.rmtree(self.folder / export_id, ignore_errors=True)
        return export is not None

    def file(self, export_id: str, name: str) -> Path | None:
        """The file of that name, if the export is done and has one."""
        export = self.get(export_id)
        if export is None or export.state != "done":
            return None
        names = {file.name for file in export.files} | {export.checksums, _described_name(export)}
        path = self.folder / export.id / name
        return path if name in names and path.is_file() else None

    def close(self) -> None:
        """Stop; what is under way is done again by the next. Idempotent."""
        with self._lock:
            self._closing = True
            worker = self._worker
        if worker is not None:
            worker.join()

    def _read(self) -> list[Export]:
        found = []
        for path in self.folder.glob(f"*/{_FACTS}"):
            try:
                export = Export.model_validate_json(path.read_bytes())
                if export.id == path.parent.name and _ID.fullmatch(export.id):
                    found.append(export)
            except (OSError, ValidationError) as error:
                log.warning("%s: is left alone: %s", path, error)
        return found

    def _save(self, export: Export) -> None:
        path = self.folder / export.id / _FACTS
        draft = path.with_suffix(".new")
        draft.write_text(export.model_dump_json(by_alias=True, indent=1))
        draft.replace(path)

    def _again(self, export: Export) -> None:
        folder = self.folder / export.id
        for path in folder.iterdir():
            if path.name != _FACTS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        export.state, export.progress = "waiting", 0.0
        self._start(export.id)

    def _start(self, export_id: str) -> None:
        self._due.append(export_id)
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="exports", daemon=True)
            self._worker.start()

    def _check_room(self, wanted_bytes: int) -> None:
        config = self._config()
        limits = (config.console or Console()).exports
        if len(self._exports) >= limits.max_count:
            raise ExportRefused(f"there are {len(self._exports)} exports, which is as many as may be; delete some first")
        kept_bytes = sum(export.size_bytes for export in self._exports.values())
        if kept_bytes + wanted_bytes > limits.max_size:
            raise ExportRefused(
                f"exports would take {kept_bytes + wanted_bytes} bytes, and may take {limits.max_size}; delete some first"
            )
        disk = shutil.disk_usage(config.recording.root)
        if disk.free - wanted_bytes < config.recording.keep.min_free.of(disk.total):
            raise ExportRefused(
                f"the disk has {disk.free} bytes free, too few for {wanted_bytes} more; delete exports, or choose less"
            )

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._closing or not self._due:
                    self._worker = None
                    return
                export = self._exports.get(self._due.popleft())
            if export is not None:
                self._do(export)

    def _do(self, export: Export) -> None:
        folder = self.folder / export.id
        try:
            self._tell(export, state="running")
            self._write(export, folder)
            self._tell(export, state="done", progress=1.0)
            log.info(
                "%s: exported %s to %s for %s: %d bytes", export.camera, export.from_, export.to, export.by, export.size_bytes
            )
        except _Deleted:
            shutil.rmtree(folder, ignore_errors=True)
        except (RaycctvError, OSError) as error:
            self._failed(export, folder, error)

    def _failed(self, export: Export, folder: Path, error: Exception) -> None:
        said = f"{error.strerror}: {error.filename or folder}" if isinstance(error, OSError) else str(error)
        log.warning("%s: export of %s to %s failed: %s", export.camera, export.from_, export.to, said)
        for path in folder.glob("*"):
            if path.name != _FACTS:
                path.unlink(missing_ok=True)
        try:
            self._tell(export, state="failed", error=said, files=[])
        except (_Deleted, OSError):  # a disk that is full takes no word of it either
            export.state, export.error = "failed", said

    def _write(self, export: Export, folder: Path) -> None:
        span = export.span
        segments = self._catalog().segments(span.camera, span.from_ns, span.to_ns)
        written = self._footage(export, segments, folder / _file_name(export, ".mp4"))
        total = sum(one.path.stat().st_size for one in written) or 1
        hashed = 0

        def on_hashed(count: int) -> None:
            nonlocal hashed
            hashed += count
            begun = _CODING if export.exact else _WRITING
            self._progress(export, begun + (1 - begun) * hashed / total)

        export.files = [_described(one, _sha256(one.path, on_hashed)) for one in written]
        about = folder / _described_name(export)
        about.write_text(export.model_dump_json(by_alias=True, indent=1, exclude={"state", "progress", "error"}))
        rows = [(file.sha256, file.name) for file in export.files] + [(_sha256(about, lambda _: None), about.name)]
        export.checksums = _file_name(export, ".sha256")
        (folder / export.checksums).write_text("".join(f"{digest}  {name}\n" for digest, name in rows))
        for name in (*(name for _, name in rows), export.checksums):
            fsync(folder / name)
        fsync(folder)

    def _footage(self, export: Export, segments: list[Segment], output: Path) -> list[exporting.Exported]:
        root, done = self._config().recording.root, 0
        share = _COPYING if export.exact else _WRITING

        def on_segment() -> None:
            nonlocal done
            done += 1
            self._progress(export, share * done / max(len(segments), 1))

        if not export.exact:
            return exporting.export(segments, root, export.span, output, on_segment)
        with tempfile.TemporaryDirectory(dir=output.parent) as drafts:
            whole = exporting.export(segments, root, export.span, Path(drafts, output.name), on_segment)
            total_s, coded_s, cut = sum(part.recorded_s for part in whole), 0.0, []
            for part in whole:
                on_coded = partial(self._coded, export, coded_s, total_s)
                cut.append(exporting.cut_exactly(part, export.span, output.with_name(part.path.name), on_coded))
                coded_s += part.recorded_s
            return cut

    def _coded(self, export: Export, before_s: float, total_s: float, now_s: float) -> None:
        self._progress(export, _COPYING + (_CODING - _COPYING) * (before_s + now_s) / total_s)

    def _progress(self, export: Export, progress: float) -> None:
        with self._lock:
            if export.id not in self._exports:
                raise _Deleted
            if self._closing:
                raise ConsoleError("the console ended meanwhile; it is done again at the next start")
            export.progress = round(min(progress, 1.0), 3)

    def _tell(self, export: Export, **facts: object) -> None:
        with self._lock:
            if export.id not in self._exports:
                raise _Deleted
            for name, value in facts.items():
                setattr(export, name, value)
            if not (self._closing and export.state == "failed"):
                self._save(export)


def _stamp(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime(STAMP_FORMAT)


def _file_name(export: Export, ending: str) -> str:
    span = export.span
    return f"{export.camera}_{_stamp(span.from_ns)}_{_stamp(span.to_ns)}{ending}"


def _described_name(export: Export) -> str:
    return _file_name(export, ".json")


def _bytes_within(segments: list[Segment], span: Span) -> int:
    """What the footage of the span takes, if each segment is as dense as on the whole."""
    return sum(
        round(one.size_bytes * (min(one.ended_at_ns, span.to_ns) - max(one.started_at_ns, span.from_ns)) / one.duration_ns)
        for one in segments
        if one.duration_ns > 0
    )


def _sha256(path: Path, on_read: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            on_read(len(block))
    return digest.hexdigest()


def _described(one: exporting.Exported, sha256: str) -> ExportedFile:
    gaps = [Gap(from_=iso(begin), to=iso(end), duration_s=round((end - begin) / NS_PER_S, 3)) for begin, end in one.gaps]
    return ExportedFile(
        name=one.path.name, size_bytes=one.path.stat().st_size, sha256=sha256, from_=iso(one.from_ns), to=iso(one.to_ns),
        recorded_s=round(one.recorded_s, 3), gaps=gaps,
    )  # fmt: skip
