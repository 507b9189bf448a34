"""Setting up a camera: masks, zones and thresholds, tried on recorded footage and written into the configuration file."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel

from raycctv.clock import NS_PER_S, iso
from raycctv.config import Config, parse
from raycctv.console.access import Administrator, Seen, audit
from raycctv.console.page import render
from raycctv.console.service import Service, service
from raycctv.console.setup import file
from raycctv.console.setup.edit import edited
from raycctv.console.setup.file import FileChanged, Version
from raycctv.console.setup.settings import Settings
from raycctv.console.setup.trial import State, Trial, TrialRefused, Trials
from raycctv.detection.labels import LABELS
from raycctv.errors import ClusterError, ConfigError
from raycctv.types import CameraName, Event, Segment

router = APIRouter(tags=["setup"])

_CHANGED: dict[int | str, dict[str, Any]] = {409: {"description": "Somebody has changed the file since it was read."}}
_BUSY: dict[int | str, dict[str, Any]] = {409: {"description": "No footage, or settings of another camera are being tried."}}

FOOTAGE_S = 3600
"""How far back settings are tried."""

TrialId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
PictureName = Annotated[str, InPath(pattern=r"^[01]-[\w.-]{1,100}\.jpg$")]


class Setup:
    """What is kept while the console runs."""

    def __init__(self) -> None:
        self.trials = Trials()
        self.saving = threading.Lock()


@contextmanager
def running(parts: Service) -> Iterator[None]:
    """For the application's lifespan."""
    parts.parts[Setup] = opened = Setup()
    try:
        yield
    finally:
        opened.trials.close()


class MotionOfAll(BaseModel):
    """What holds where a camera has nothing of its own."""

    min_area: float
    sensitivity: float


class SetupAnswer(BaseModel):
    """How a camera is set up, as the file says it.

    Attributes:
        digest: of the file; give it back when you save.
        hindrance: why nothing can be saved; null where it can.
        pending: whether the file says something else of this camera than what runs.
        footage_s: recorded within the last hour, to try settings on.
        frame_px: width and height of the newest of that footage; null without any.
    """

    camera: str
    settings: Settings
    motion: MotionOfAll
    labels: list[str]
    digest: str
    hindrance: str | None
    pending: bool
    footage_s: float
    frame_px: tuple[int, int] | None


class Change(BaseModel):
    """New settings, and the digest of the file that they were made from."""

    settings: Settings
    digest: str


class Preview(BaseModel):
    """What would change in the file: a unified diff; empty where nothing would."""

    difference: str


class Saved(BaseModel):
    """The file is written. ``problem`` says why the cluster does not run it yet."""

    digest: str
    difference: str
    problem: str | None


class TriedEvent(BaseModel):
    """An event that settings would have raised. ``picture`` is the address of its best view."""

    kind: str
    started_at: str
    ended_at: str | None
    labels: dict[str, float]
    zones: list[str]
    score: float
    why: str
    picture: str | None


class TriedPair(BaseModel):
    """An event that both settings raise."""

    old: TriedEvent
    new: TriedEvent


class TrialAnswer(BaseModel):
    """How far a trial is, and what it has found until now. Footage is tried from the newest to the oldest."""

    id: str
    state: State
    error: str | None
    tried_s: float
    footage_s: float
    come: list[TriedEvent]
    go: list[TriedEvent]
    stay: list[TriedPair]


@router.get("/setup/{camera}", response_class=HTMLResponse, include_in_schema=False)
def setup_page(request: Request, account: Administrator, camera: Seen) -> HTMLResponse:
    """Draw, try, save."""
    return render(request, "setup.html", camera=camera)


@router.get("/api/setup/{camera}")
def setup(request: Request, account: Administrator, camera: Seen) -> SetupAnswer:
    """How the camera is set up."""
    parts = service(request)
    version = _version(parts)
    written = _configuration(parts, version, camera)
    ours = written.cameras[camera]
    footage = _footage(parts, camera)
    return SetupAnswer(
        camera=camera,
        settings=Settings.of(ours),
        motion=MotionOfAll(min_area=written.motion.min_area, sensitivity=written.motion.sensitivity),
        labels=sorted(LABELS.values()),
        digest=version.digest if version else "",
        hindrance=file.hindrance(parts.file),
        pending=Settings.of(ours) != Settings.of(parts.config.cameras[camera]),
        footage_s=sum(segment.duration_ns for segment in footage) / NS_PER_S,
        frame_px=(footage[-1].width_px, footage[-1].height_px) if footage else None,
    )


@router.post("/api/setup/{camera}/preview", responses=_CHANGED)
def preview(request: Request, account: Administrator, camera: Seen, change: Change) -> Preview:
    """What saving would change in the configuration file."""
    before = _changeable(service(request), change.digest)
    return Preview(difference=file.difference(before.text, _edited(before, camera, change.settings)))


@router.put("/api/setup/{camera}", responses=_CHANGED)
def save(request: Request, account: Administrator, camera: Seen, change: Change) -> Saved:
    """Write the settings into the configuration file, and let the cluster run them."""
    parts = service(request)
    with parts.part(Setup).saving:
        before = _changeable(parts, change.digest)
        text = _edited(before, camera, change.settings)
        difference = file.difference(before.text, text)
        assert parts.file is not None
        after = _replaced(parts.file, text, change.digest)
        audit(request, "set up", camera=camera, lines=[line for line in difference.splitlines() if line[0] in "+-"])
        problem = _run(parts, camera, change.settings)
    return Saved(digest=after.digest, difference=difference, problem=problem)


@router.post("/api/setup/{camera}/trials", status_code=201, responses=_BUSY)
def begin_trial(request: Request, account: Administrator, camera: Seen, settings: Settings) -> TrialAnswer:
    """Run the pipeline over the last hour's footage with the settings that run and with these. One trial at a time."""
    parts = service(request)
    old = Settings.of(parts.config.cameras[camera])
    settings.on(parts.config.cameras[camera])
    try:
        trial = parts.part(Setup).trials.start(camera, parts.config, old, settings, _footage(parts, camera))
    except TrialRefused as error:
        raise HTTPException(409, str(error)) from error
    return _answer(trial)


@router.get("/api/setup/{camera}/trials/{trial_id}")
def trial(request: Request, account: Administrator, camera: Seen, trial_id: TrialId) -> TrialAnswer:
    """How far it is."""
    return _answer(_found(request, camera, trial_id))


@router.delete("/api/setup/{camera}/trials/{trial_id}")
def cancel_trial(request: Request, account: Administrator, camera: Seen, trial_id: TrialId) -> TrialAnswer:
    """End it; what was found stays until the next trial."""
    found = _found(request, camera, trial_id)
    found.cancel()
    return _answer(found)


@router.get("/api/setup/{camera}/trials/{trial_id}/pictures/{name}", response_class=FileResponse)
def trial_picture(
    request: Request,
    account: Administrator,
    camera: Seen,
    trial_id: TrialId,
    name: PictureName,
) -> FileResponse:
    """The best view of an event, as a JPEG."""
    path = _found(request, camera, trial_id).folder / name
    if not path.is_file():
        raise HTTPException(404, "there is no such picture")
    return FileResponse(path, media_type="image/jpeg")


def _version(parts: Service) -> Version | None:
    """The file, where it can be read from here."""
    if parts.file is None:
        return None
    try:
        return file.read(parts.file)
    except ConfigError:
        return None  # the hindrance says why


def _configuration(parts: Service, version: Version | None, camera: CameraName) -> Config:
    """What the file says; without one, what runs.

    Raises:
        ConfigError: it cannot be used, or has no such camera any more.
    """
    if version is None:
        return parts.config
    written = parse(version.text, str(parts.file), file.environment_of(version.text, os.environ))
    if camera not in written.cameras:
        raise ConfigError(f"{parts.file} has no camera {camera!r} any more, though it still runs")
    return written


def _changeable(parts: Service, digest: str) -> Version:
    problem = file.hindrance(parts.file)
    if problem is not None or parts.file is None:
        raise ConfigError(str(problem))
    version = file.read(parts.file)
    if version.digest != digest:
        raise HTTPException(409, "the configuration file has been changed meanwhile; load the page again")
    return version


def _edited(before: Version, camera: CameraName, settings: Settings) -> str:
    return edited(before.text, camera, settings, file.environment_of(before.text, os.environ))


def _replaced(path: Path, text: str, digest: str) -> Version:
    try:
        return file.replace(path, text, digest)
    except FileChanged as error:
        raise HTTPException(409, str(error)) from error


def _run(parts: Service, camera: CameraName, settings: Settings) -> str | None:
    """Of what runs, change this camera alone: what else somebody has written into the file is for them to reload."""
    cameras = {**parts.config.cameras, camera: settings.on(parts.config.cameras[camera])}
    config = parts.config.model_copy(update={"cameras": cameras})
    try:
        parts.cluster.reload(config)
    except ClusterError as error:
        return f"the file is written, but the cluster does not run it yet: {error}; `raycctv reload` tries again"
    parts.config = config
    return None


def _footage(parts: Service, camera: CameraName) -> list[Segment]:
    now_ns = parts.clock.now_ns()
    return parts.catalog.segments(camera, now_ns - FOOTAGE_S * NS_PER_S, now_ns)


def _found(request: Request, camera: CameraName, trial_id: str) -> Trial:
    found = service(request).part(Setup).trials.find(camera, trial_id)
    if found is None:
        raise HTTPException(404, "there is no such trial; a newer one has taken its place")
    return found


def _answer(trial: Trial) -> TrialAnswer:
    progress, difference = trial.progress, trial.difference

    def shown(event: Event) -> TriedEvent:
        picture = None if event.snapshot is None else f"/api/setup/{trial.camera}/trials/{trial.id}/pictures/{event.snapshot}"
        return TriedEvent(
            kind=event.kind, started_at=iso(event.started_at_ns),
            ended_at=None if event.ended_at_ns is None else iso(event.ended_at_ns),
            labels=event.labels, zones=list(event.zones), score=event.score, why=event.why, picture=picture,
        )  # fmt: skip

    return TrialAnswer(
        id=trial.id, state=progress.state, error=progress.error, tried_s=progress.tried_s, footage_s=progress.footage_s,
        come=[shown(event) for event in difference.come], go=[shown(event) for event in difference.go],
        stay=[TriedPair(old=shown(old), new=shown(new)) for old, new in difference.stay],
    )  # fmt: skip
