"""Decoding on a device (NVDEC through CUDA, VAAPI), where there is one and it is worth it.

A device is worth it when it costs the CPU less than software does: pictures come back to main memory, since frame differencing
looks at all of them, and that costs too. So with ``decode.hardware: auto`` both decode the same few pictures of 1920 x 1080,
once a process and codec. Whatever hinders a device, software decodes, and the log says why.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available

from raycctv.capture.packets import StreamInfo
from raycctv.types import CameraName

log = logging.getLogger(__name__)

NODES = {"cuda": "/dev/nvidia[0-9]*", "vaapi": "/dev/dri/renderD*"}
"""Kinds of devices, by ffmpeg's name, and the files by which the kernel shows that there is one."""

ENCODERS = {"h264": "libx264", "hevc": "libx265"}

_QUIET_ENCODER = {"hevc": {"x265-params": "log-level=error"}}

_SAMPLE_PICTURES, _SAMPLE_PX = 15, (1920, 1080)
_SLOWER_MAX = 2.0
"""A device that takes more than so many times as long as one thread of software is no gain, however little CPU it costs."""


class HardwareError(Exception):
    """A device cannot decode; says why."""


@dataclass(frozen=True, slots=True)
class Device:
    """What decodes.

    Attributes:
        kind: ``cuda`` or ``vaapi``.
        place: which one, as ffmpeg calls it (``1``, ``/dev/dri/renderD128``); None means the first.
    """

    kind: str
    place: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Device":
        """``kind`` or ``kind:place``, as ``decode.hardware`` has it."""
        kind, _, place = text.partition(":")
        return cls(kind, place or None)

    def __str__(self) -> str:
        return self.kind if self.place is None else f"{self.kind}:{self.place}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What decodes one codec in this process, and why; ``device`` is None for software."""

    device: Device | None
    reason: str


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """Of one picture: CPU milliseconds of all threads of this process, and milliseconds that pass."""

    cpu_ms: float
    wall_ms: float


def accelerated(camera: CameraName, info: StreamInfo, wanted: str) -> StreamInfo:
    """The stream to be decoded by the device that ``decode.hardware`` wants, or as it is."""
    device = choose(wanted, info.codec).device
    if device is None:
        return info
    try:
        context = opened(info.codec, device, info.context.extradata)
    except HardwareError as error:  # it could be opened when it was chosen
        log.warning("%s: decoded in software: %s", camera, error)
        return info
    return replace(info, context=context, device=str(device), spare=info.context)


@cache
def choose(wanted: str, codec: str) -> Choice:
    """What decodes ``codec``, as ``decode.hardware`` wants it: ``auto``, ``off`` or a device. Logs what it has chosen."""
    choice = _chosen(wanted, codec)
    named = wanted not in ("auto", "off")
    log.log(
        logging.WARNING if named and choice.device is None else logging.INFO,
        "%s is decoded %s: %s", codec, f"by {choice.device}" if choice.device else "in software", choice.reason,
    )  # fmt: skip
    return choice


def _chosen(wanted: str, codec: str) -> Choice:
    if wanted == "off":
        return Choice(None, "decode.hardware is off")
    if wanted == "auto":
        return _cheapest(codec)
    device = Device.parse(wanted)
    try:
        opened(codec, device)
    except HardwareError as error:
        return Choice(None, str(error))
    return Choice(device, "decode.hardware names it")


def _cheapest(codec: str) -> Choice:
    """Software, or the device that costs the CPU least."""
    devices = present()
    if not devices:
        return Choice(None, f"no device ({' or '.join(NODES[kind] for kind in usable_kinds()) or 'none known to PyAV'})")
    if codec not in ENCODERS:
        return Choice(None, f"devices are tried with {' and '.join(ENCODERS)} alone")
    sample = sample_packets(codec)
    software = cost(opened(codec, None), sample)
    tried: list[str] = []
    best, least_ms = None, software.cpu_ms
    for device in devices:
        try:
            spent = cost(opened(codec, device), sample)
        except HardwareError as error:
            tried.append(str(error))
            continue
        tried.append(f"{device} {spent.cpu_ms:.1f} ms of CPU a picture")
        if spent.cpu_ms < least_ms and spent.wall_ms < _SLOWER_MAX * software.wall_ms:
            best, least_ms = device, spent.cpu_ms
    return Choice(best, "; ".join([*tried, f"software {software.cpu_ms:.1f} ms"]))


def usable_kinds() -> list[str]:
    """Kinds that this build of PyAV can use."""
    return [kind for kind in NODES if kind in hwdevices_available()]


def present() -> list[Device]:
    """The devices that this machine shows and PyAV can use; costs a look into ``/dev``."""
    found = []
    for kind in usable_kinds():
        root, pattern = Path(NODES[kind]).parent, Path(NODES[kind]).name
        nodes = sorted(root.glob(pattern)) if root.is_dir() else []
        found += [Device(kind, str(node) if kind == "vaapi" else str(number)) for number, node in enumerate(nodes)]
    return found


def opened(codec: str, device: Device | None, extradata: bytes | None = None) -> av.VideoCodecContext:
    """A decoder on a device, or in software on one thread where that is None.

    Args:
        extradata: the stream's own headers, where they do not stand in its packets.

    Raises:
        HardwareError: it cannot be opened, or not for this codec.
    """
    try:
        accel = None if device is None else HWAccel(device.kind, device.place, allow_software_fallback=False)
        context = av.CodecContext.create(codec, "r", hwaccel=accel)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise HardwareError(f"{device} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    assert isinstance(context, av.VideoCodecContext)
    if device is not None and not context.is_hwaccel:
        raise HardwareError(f"{device} cannot be used for {codec} by this build of PyAV (it knows {_known()})")
    if extradata:
        context.extradata = extradata
    context.thread_count = 1
    return context


def cost(context: av.VideoCodecContext, packets: Sequence[bytes]) -> DecodeCost:
    """What it costs to decode these and have the luma in main memory. The first is not counted: it opens the decoder.

    Raises:
        HardwareError: it does not decode them.
    """
    cpu_s = wall_s = 0.0
    pictures = 0
    try:
        for number, data in enumerate([*packets, None]):
            if number == 1:
                cpu_s, wall_s, pictures = time.process_time(), time.perf_counter(), 0
            for picture in context.decode(None if data is None else av.Packet(data)):
                pictures += isinstance(picture, av.VideoFrame) and memoryview(picture.planes[0]).nbytes > 0
    except (av.error.FFmpegError, OSError) as error:
        raise HardwareError(f"{context.name} is not decoded: {getattr(error, 'strerror', None) or error}") from error
    if not pictures:
        raise HardwareError(f"{context.name} is not decoded: no picture came")
    return DecodeCost(
        1000 * (time.process_time() - cpu_s) / pictures,
        1000 * (time.perf_counter() - wall_s) / pictures,
    )


@cache
def sample_packets(codec: str) -> tuple[bytes, ...]:
    """Coded pictures of 1920 x 1080 in which noise moves; the headers stand in the first."""
    width, height = _SAMPLE_PX
    encoder: Any = av.CodecContext.create(ENCODERS[codec], "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 15)
    encoder.options = {"preset": "ultrafast", "crf": "28", "bf": "0", **_QUIET_ENCODER.get(codec, {})}
    noise = np.random.default_rng(1).integers(90, 120, (height // 8, width // 8), np.uint8)
    coded: list[bytes] = []
    for number in range(_SAMPLE_PICTURES):
        luma = np.kron(np.roll(noise, number, axis=1), np.ones((8, 8), np.uint8))
        picture = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p")
        picture.pts, picture.time_base = number, Fraction(1, 15)
        coded += [bytes(packet) for packet in encoder.encode(picture)]
    coded += [bytes(packet) for packet in encoder.encode(None)]
    return tuple(coded)


def _known() -> str:
    return ", ".join(hwdevices_available()) or "none"
