"""How each camera is, of what the actors say. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from raycctv.config import Config
from raycctv.types import CameraName

State = Literal["streaming", "connecting", "offline", "ended", "unknown"]

_OFFLINE: Mapping[str, str] = {
    "offline": "the camera does not send", "connecting": "the camera has not answered yet", "unknown": "nobody reads the camera"
}  # fmt: skip


class CameraState(BaseModel):
    """One camera.

    Attributes:
        state: of its stream; ``unknown`` where its reader does not answer.
        recording: whether footage is being written; None where it is not to be recorded.
        coverage_24h: share of the time in which it was sending that was recorded, 0 to 1; None before its first footage.
        problems: what somebody should look at now, in words.
    """

    camera: str
    state: State
    recording: bool | None
    coverage_24h: float | None
    problems: list[str]
    error: str | None = None


def camera_states(config: Config, status: Mapping[str, Any], cameras: Sequence[CameraName]) -> list[CameraState]:
    """Of ``cameras``, in that order.

    Args:
        status: as ``raycctv status --json``.
    """
    recorders = {
        name: told for part in parts_of(status, "storage").values() for name, told in part.get("recorders", {}).items()
    }
    return [
        _state_of(name, config.cameras[name].recorded, status.get(f"reader:{name}", {}), recorders.get(name))
        for name in cameras
    ]


def parts_of(status: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    """What actors of a kind say, by name: ``storage``, or ``storage:...`` where there are several machines with disks."""
    return {name: told for name, told in status.items() if name.partition(":")[0] == kind}


def _state_of(name: CameraName, recorded: bool, reader: Mapping[str, Any], recorder: Mapping[str, Any] | None) -> CameraState:
    state: State = reader.get("state", "unknown")
    recording = bool(recorder and recorder.get("recording")) if recorded else None
    problems = [_OFFLINE[state]] if state in _OFFLINE else []
    if recording is False:
        problems.append("no footage is being recorded")
    error = reader.get("error") or (recorder or {}).get("last_error") if problems else None
    return CameraState(
        camera=name, state=state, recording=recording, coverage_24h=(recorder or {}).get("coverage_24h"), problems=problems,
        error=error or None,
    )  # fmt: skip
