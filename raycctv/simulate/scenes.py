"""Streams for simulated cameras, made once from real footage and kept: coded as cameras do, to be sent by copying.

H.264 without B-frames, 15 frames a second, a keyframe every 2 s, 1280 x 720.
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import ffmpeg
import numpy as np
import numpy.typing as npt

from raycctv.errors import RaycctvError
from raycctv.simulate.footage import VTEST_FPS, VTEST_FRAMES, footage_dir, vtest

WIDTH_PX, HEIGHT_PX, FPS, GOP = 1280, 720, 15, 30

_VERSION = 1
"""Part of a scene's file name; another way of making scenes needs another number."""

_MEDIAN_EVERY = 5
_NOISE_LEVELS = 3.0
_EMPTY_S = 20


@dataclass(frozen=True)
class View:
    """A part of vtest.avi (768 x 576) and where in it to begin; after its end it goes on from there again.

    Attributes:
        crop: width, height, left, top in pixels.
    """

    crop: tuple[int, int, int, int]
    start_s: float


PEOPLE = {
    "plaza": View(crop=(768, 432, 0, 100), start_s=0.0),
    "walkway": View(crop=(512, 288, 40, 120), start_s=30.0),
    "gate": View(crop=(560, 315, 208, 120), start_s=50.0),
}
EMPTY = "empty"
SCENES = (*PEOPLE, EMPTY)


class SceneError(RaycctvError):
    """A scene cannot be made."""


def prepare(name: str, folder: Path | None = None) -> Path:
    """The clip of a scene (MP4), made at the first call.

    Raises:
        SceneError: no such scene, or ffmpeg fails.
        FootageMissing: there is nothing to make it from.
    """
    if name not in SCENES:
        raise SceneError(f"no scene is called {name!r}; known are {', '.join(SCENES)}")
    place = folder or footage_dir() / "scenes"
    path = place / f"{name}-{WIDTH_PX}x{HEIGHT_PX}-{FPS}fps-v{_VERSION}.mp4"
    if path.is_file():
        return path
    place.mkdir(parents=True, exist_ok=True)
    source = vtest()
    draft = path.with_suffix(".new.mp4")
    if name == EMPTY:
        empty = cv2.resize(median_frame(source, PEOPLE["plaza"]), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
        encode(noisy(np.asarray(empty, np.uint8), _EMPTY_S * FPS), draft, fps=FPS, gop=GOP)
    else:
        _transcode(source, PEOPLE[name], draft)
    return draft.replace(path)


def encode(
    frames: Iterator[npt.NDArray[np.uint8]], path: Path, *, fps: int = FPS, gop: int = GOP, codec: str = "libx264"
) -> None:
    """Code pictures (uint8 (H, W, 3) BGR) as a camera would: no B-frames, closed GOPs of ``gop`` frames."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps, options=_coding(gop, codec))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for index, picture in enumerate(frames):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))


def pictures(source: Path, view: View) -> Iterator[npt.NDArray[np.uint8]]:
    """What the view shows of the whole footage, picture by picture: uint8 (H, W, 3) BGR."""
    width, height, left, top = view.crop
    with av.open(str(source)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)[top : top + height, left : left + width]


def median_frame(source: Path, view: View) -> npt.NDArray[np.uint8]:
    """The place without its people: the median of the whole footage, as uint8 (H, W, 3) BGR of the view's size."""
    some = np.stack(list(islice(pictures(source, view), 0, None, _MEDIAN_EVERY)))
    median: npt.NDArray[np.uint8] = np.median(some, axis=0).astype(np.uint8)
    return median


def noisy(picture: npt.NDArray[np.uint8], count: int, levels: float = _NOISE_LEVELS) -> Iterator[npt.NDArray[np.uint8]]:
    """``count`` pictures of a still scene through a sensor with Gaussian noise of so many grey levels, always the same."""
    random = np.random.default_rng(1)
    height, width, _ = picture.shape
    for _ in range(count):
        noise = random.standard_normal((height, width, 1), np.float32) * levels
        yield np.clip(picture + noise, 0, 255).astype(np.uint8)


Paint = Callable[[npt.NDArray[np.uint8], float], None]


def drawn(paint: Paint, width_px: int, height_px: int, fps: int, seconds: float) -> Iterator[npt.NDArray[np.uint8]]:
    """A textured wall through a noisy sensor, on which ``paint(picture, seconds)`` draws what moves: events that are known."""
    rows, columns = np.mgrid[:height_px, :width_px]
    wall = (110 + 25 * np.sin(columns / 23) * np.cos(rows / 17)).astype(np.uint8)
    for index, picture in enumerate(noisy(np.repeat(wall[..., None], 3, axis=2), round(seconds * fps))):
        paint(picture, index / fps)
        yield picture


def _transcode(source: Path, view: View, path: Path) -> None:
    """Crop and enlarge; shorter footage is shown twice."""
    width, height, left, top = view.crop
    video = ffmpeg.input(str(source), stream_loop=1, ss=view.start_s, t=VTEST_FRAMES / VTEST_FPS)
    shown = (
        video.filter("crop", width, height, left, top).filter("scale", WIDTH_PX, HEIGHT_PX, flags="bicubic").filter("fps", FPS)
    )
    coded = shown.output(
        str(path), vcodec="libx264", pix_fmt="yuv420p", g=GOP, bf=0, sc_threshold=0, preset="veryfast", crf=24, an=None
    ).global_args("-nostdin", "-y", "-hide_banner", "-loglevel", "error")
    done = subprocess.run(ffmpeg.compile(coded), capture_output=True, text=True, check=False)
    if done.returncode:
        path.unlink(missing_ok=True)
        raise SceneError(f"{path.name} cannot be made: {' '.join(done.stderr.split())[-300:]}")


def _coding(gop: int, codec: str) -> dict[str, str]:
    alone = {"x265-params": "scenecut=0:open-gop=0:log-level=error"} if codec == "libx265" else {"sc_threshold": "0"}
    return {"preset": "veryfast", "crf": "24", "bf": "0", "g": str(gop), **alone}
