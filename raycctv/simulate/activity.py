"""Streams for the load test: 1920 x 1080, 15 frames a second, a keyframe every 2 s, with motion for a share of the time.

Two clips are made once and kept: a quiet place, and a visit to it, in which people come in, walk about and leave. Both go
through the same noisy sensor, and the visit begins and ends with nobody there, so that any keyframe of one may follow any
of the other. A camera's stream is a list of pieces of them (ffmpeg's ffconcat), which is sent over and over by copying.
"""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, repeat
from pathlib import Path

import cv2
import ffmpeg
import numpy as np
import numpy.typing as npt

from raycctv.simulate.footage import VTEST_FPS, footage_dir, vtest
from raycctv.simulate.scenes import FPS, GOP, SceneError, View, median_frame, pictures
from raycctv.types import Watch

WIDTH_PX, HEIGHT_PX = 1920, 1080
GOP_S = GOP // FPS
QUIET_GOPS, VISIT_GOPS = 30, 13
QUIET, VISIT = "quiet", "visit"
LEAST_ACTIVITY = 0.01
"""With less, but not none, a camera's list of pieces would go on for hours."""

_VERSION = 1
"""Part of a clip's file name; another way of making clips needs another number."""

_PLACE = View(crop=(448, 252, 160, 312), start_s=44.0)
"""From its start the place is empty, then two people meet there, and after 26 s it is empty again."""

_CHANGED_FROM, _CHANGED_TO = 12, 24
"""Grey levels between which a difference from the empty place turns from noise into a person."""

_NOISE = 6
"""ffmpeg's unit; about 3.5 grey levels. With it a stream of the quiet place has 2 Mbit/s, as a camera's has."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Span:
    """A piece of a clip: ``gops`` groups of pictures, 2 s each, from the ``first`` on."""

    clip: str
    first: int
    gops: int


def prepare_clips(watch: Watch, folder: Path | None = None) -> dict[str, Path]:
    """The two clips by name, made at the first call; that takes about a minute.

    Raises:
        SceneError: ffmpeg fails.
        FootageMissing: there is nothing to make them from.
    """
    place = folder or footage_dir() / "activity"
    lengths = {QUIET: QUIET_GOPS, VISIT: VISIT_GOPS}
    paths = {name: place / f"{name}-{WIDTH_PX}x{HEIGHT_PX}-{FPS}fps-v{_VERSION}.mp4" for name in lengths}
    if not all(path.is_file() for path in paths.values()):
        place.mkdir(parents=True, exist_ok=True)
        source = vtest()
        empty = median_frame(source, _PLACE)
        shown = {QUIET: repeat(empty), VISIT: _visit(source, empty)}
        for name, path in paths.items():
            _film(shown[name], lengths[name] * GOP_S, path, partial(watch, f"clip {name}"))
    return paths


def schedule(activity: float) -> list[Span]:
    """What a camera shows that has motion for the share ``activity`` of the time: one visit, then quiet, in whole GOPs.

    The visit is never cut, so that nobody appears from nowhere; the quiet after it is as long as the share asks for.
    """
    if activity == 0:
        return [Span(QUIET, 0, QUIET_GOPS)]
    times, rest = divmod(round(VISIT_GOPS * (1 - activity) / activity), QUIET_GOPS)
    quiet = [QUIET_GOPS] * times + [rest] * bool(rest)
    return [Span(VISIT, 0, VISIT_GOPS), *(Span(QUIET, 0, gops) for gops in quiet)]


def turned(spans: list[Span], phase: float) -> list[Span]:
    """The same round, begun after ``phase`` of it, 0 to 1."""
    skipped = round(phase * sum(span.gops for span in spans))
    before, after = [], []
    for span in spans:
        cut = min(skipped, span.gops)
        skipped -= cut
        before.append(replace(span, gops=cut))
        after.append(replace(span, first=span.first + cut, gops=span.gops - cut))
    return [span for span in after + before if span.gops]


def motion_share(spans: list[Span], from_s: float, to_s: float) -> float:
    """Share of the time from ``from_s`` to ``to_s`` of a stream, which repeats ``spans``, that lies in a visit."""
    visiting = [span.clip == VISIT for span in spans for _ in range(span.gops)]
    seconds = np.arange(from_s, max(to_s, from_s + 1))
    return float(np.mean([visiting[int(second // GOP_S) % len(visiting)] for second in seconds]))


def write_stream(spans: list[Span], path: Path) -> None:
    """The list that a simulated camera sends. The clips are ``<name>.mp4`` beside it: ffmpeg takes no other place for safe."""
    lines = ["ffconcat version 1.0"]
    for span in spans:
        end = span.first + span.gops
        lines += [f"file {span.clip}.mp4", f"inpoint {span.first * GOP_S}", f"outpoint {end * GOP_S}"]
    path.write_text("\n".join(lines) + "\n")


def _visit(source: Path, empty: Picture) -> Iterator[Picture]:
    """The people of the footage, put into the empty place: whatever else differs from it is noise, and left out."""
    for picture in islice(pictures(source, _PLACE), round(_PLACE.start_s * VTEST_FPS), None):
        difference = cv2.GaussianBlur(cv2.absdiff(picture, empty).max(axis=2), (5, 5), 0).astype(np.float32)
        changed = np.clip((difference - _CHANGED_FROM) / (_CHANGED_TO - _CHANGED_FROM), 0, 1)
        person = cv2.GaussianBlur(cv2.dilate(changed, np.ones((5, 5), np.uint8)), (5, 5), 0)[..., None]
        yield (empty + person * (picture.astype(np.float32) - empty)).round().astype(np.uint8)


def _film(shown: Iterable[Picture], seconds: int, path: Path, watch: Callable[[float, float], None]) -> None:
    """Code what is shown as a camera of 1920 x 1080 would."""
    draft = path.with_suffix(".new.mp4")
    count = seconds * VTEST_FPS
    with subprocess.Popen(_filming(seconds, draft), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as filming:
        assert filming.stdin is not None
        assert filming.stderr is not None
        try:
            for done, picture in enumerate(islice(shown, count)):
                filming.stdin.write(picture.tobytes())
                watch(done + 1, count)
            filming.stdin.close()
        except BrokenPipeError:
            pass  # it has given up, and says why
        except BaseException:
            filming.kill()
            draft.unlink(missing_ok=True)
            raise
        errors = filming.stderr.read().decode(errors="replace")
    if filming.returncode:
        draft.unlink(missing_ok=True)
        raise SceneError(f"{path.name} cannot be made: {' '.join(errors.split())[-300:]}")
    draft.replace(path)


def _filming(seconds: int, path: Path) -> list[str]:
    """From pictures on standard input to H.264 whose headers are the same for every clip (``stitchable``)."""
    width, height, _, _ = _PLACE.crop
    seen = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="bgr24", s=f"{width}x{height}", framerate=VTEST_FPS)
    shown = seen.filter("scale", WIDTH_PX, HEIGHT_PX, flags="bicubic").filter("fps", FPS).filter("format", "yuv420p")
    coded = shown.filter("noise", c0s=_NOISE, c0f="t").output(
        str(path), vcodec="libx264", g=GOP, bf=0, sc_threshold=0, preset="veryfast", crf=24,
        **{"frames:v": seconds * FPS, "x264-params": "stitchable=1"},
    )  # fmt: skip
    command: list[str] = ffmpeg.compile(coded.global_args("-y", "-hide_banner", "-loglevel", "error"))
    return command
