"""What a configuration may say. Defaults stand here and nowhere else; ``docs/configuration.md`` is checked against it.

Every model is frozen and forbids unknown keys. Durations are seconds and sizes bytes once parsed.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from raycctv.config.units import DurationS, FreeSpace, MqttUrl, ServerUrl, SizeBytes, Store, StreamUrl
from raycctv.types import CameraName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def _check_name(name: str) -> str:
    """Names become folders, file names and stream keys, so they hold nothing that means something to a file system."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: use letters, digits, '-' and '_', at most 64, beginning with a letter or digit")
    return name


_HARDWARE = re.compile(r"auto|off|cuda(:\d+)?|vaapi(:/\S+)?")


def _check_hardware(wanted: object) -> object:
    """YAML reads a bare ``off`` as false."""
    text = "off" if wanted is False else wanted
    if not isinstance(text, str) or not _HARDWARE.fullmatch(text):
        raise ValueError(f"{wanted!r}: write auto, off, or a device: cuda, cuda:1, vaapi, vaapi:/dev/dri/renderD128")
    return text


Name = Annotated[str, AfterValidator(_check_name)]
Hardware = Annotated[str, BeforeValidator(_check_hardware)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Fraction, Fraction]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3)]


class Section(BaseModel):
    """One part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ObjectRule(Section):
    """When an object of one class is worth an event."""

    min_score: Fraction = Field(0.5, description="best score that an object must reach, 0 to 1")
    min_views: int = Field(3, ge=1, description="frames in which it must have been named before the event is raised")
    zones: tuple[Name, ...] = Field((), description="zones in which it counts; none means everywhere")


def default_objects() -> dict[str, ObjectRule]:
    """What most cameras are there for. Labels are COCO's: see ``raycctv models list``.

    Each threshold is where recall and precision of such objects are best together (F1), people's at 0.5, those of vehicles and
    animals at 0.4. Source: the tuning half of ``benchmarks/accuracy.py --only scores``, in ``docs/models.md``.
    """
    others = ("bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")
    return {"person": ObjectRule(), **{label: ObjectRule(min_score=0.4) for label in others}}


class Retention(Section):
    """What is kept, and how long. Whichever limit is reached first deletes the oldest and least valuable footage."""

    continuous: DurationS = Field(7 * 86400.0, gt=0, description="age of footage without motion")
    motion: DurationS = Field(14 * 86400.0, gt=0, description="age of footage with motion that no object explains")
    event: DurationS = Field(30 * 86400.0, gt=0, description="age of footage with an object event")
    max_size: SizeBytes | None = Field(None, gt=0, description="bytes of all footage together; none means up to min_free")
    min_free: FreeSpace = Field(FreeSpace(fraction=0.10), description="what must stay free on the disk: a share or a size")

    def of(self, own: "CameraRetention") -> "Retention":
        """These rules with what one camera has otherwise."""
        return self.model_copy(update={key: value for key, value in own.model_dump().items() if value is not None})


class CameraRetention(Section):
    """What one camera has otherwise than ``recording.keep``."""

    continuous: DurationS | None = Field(None, gt=0, description="age of footage without motion")
    motion: DurationS | None = Field(None, gt=0, description="age of footage with motion that no object explains")
    event: DurationS | None = Field(None, gt=0, description="age of footage with an object event")
    max_size: SizeBytes | None = Field(None, gt=0, description="bytes of this camera's footage")


class Motion(Section):
    """Frame differencing."""

    width_px: int = Field(320, ge=64, le=1920, description="width at which frames are compared; smaller is cheaper and blinder")
    min_area: Fraction = Field(0.0006, description="smallest region that counts, as a share of the picture")
    sensitivity: float = Field(1.0, gt=0, le=10, description="1 is normal; 2 sees changes half as large above the noise")
    background_s: DurationS = Field(10.0, gt=0, description="time constant after which a standing change becomes background")
    start_frames: int = Field(2, ge=1, description="frames with motion before motion starts")
    stop_s: DurationS = Field(2.0, gt=0, description="stillness after which motion has ended")
    lighting_fraction: Fraction = Field(0.45, description="share of the picture that must change at once to be a light switch")

    def of(self, own: "CameraMotion") -> "Motion":
        """These settings with what one camera has otherwise."""
        return self.model_copy(update={key: value for key, value in own.model_dump().items() if value is not None})


class CameraMotion(Section):
    """What one camera has otherwise than ``motion``."""

    min_area: Fraction | None = Field(None, description="smallest region that counts, as a share of the picture")
    sensitivity: float | None = Field(
        None, gt=0, le=10, description="1 is normal; 2 sees changes half as large above the noise"
    )


class Camera(Section):
    """One camera."""

    source: StreamUrl = Field(description="the stream that is recorded and analysed: rtmp://, rtsp:// or file://")
    pull: StreamUrl | None = Field(None, description="an RTSP camera that is relayed to `source` with ffmpeg -c copy")
    analysis_source: StreamUrl | None = Field(
        None, description="a low-resolution sub stream to analyse instead of `source`; events are in its pixels"
    )
    record: bool = Field(True, description="whether footage is kept")
    node: str | None = Field(
        None, description="node of the cluster that it is read on: name, address, host name, id, or a label as key=value"
    )
    replicas: int | None = Field(None, ge=1, le=8, description="storage nodes that record it, where `recording` differs")
    keep: CameraRetention = Field(CameraRetention(), description="what is kept of this camera, where `recording.keep` differs")
    motion: CameraMotion = Field(CameraMotion(), description="how its frames are compared, where `motion` differs")
    masks: dict[Name, Polygon] = Field(
        default_factory=dict, description="polygons in which nothing is looked at; corners 0 to 1"
    )
    zones: dict[Name, Polygon] = Field(default_factory=dict, description="named polygons that events and objects refer to")
    objects: dict[str, ObjectRule] = Field(default_factory=default_objects, description="label: rule; what is worth an event")

    @model_validator(mode="after")
    def _consistent(self) -> "Camera":
        for label, rule in self.objects.items():
            for zone in rule.zones:
                if zone not in self.zones:
                    known = ", ".join(self.zones) or "none"
                    raise ValueError(f"objects.{label}.zones names {zone!r}, which is not among this camera's zones ({known})")
        if self.pull is not None and self.source.scheme not in ("rtmp", "rtmps"):
            raise ValueError("pull relays to an RTMP server, so source must be rtmp://")
        return self

    @property
    def analysed(self) -> StreamUrl:
        """The stream that the reader opens."""
        return self.analysis_source or self.source

    @property
    def recorded(self) -> bool:
        """Whether a recorder runs for it: a file is already recorded."""
        return self.record and not self.source.is_file


class Decode(Section):
    """How much of a stream is decoded."""

    mode: Literal["adaptive", "lean", "all"] = Field(
        "adaptive",
        description="adaptive: keyframes of a quiet camera, everything where something happens, and of that a part while the "
        "machine is busy; lean: always as if it were busy; all: everything",
    )
    busy: Fraction = Field(0.6, description="share of this machine's CPU above which it is busy")
    audit_s: DurationS = Field(300.0, gt=0, description="time between two looks at all of a quiet camera's frames")
    hardware: Hardware = Field(
        "auto",
        description="auto: a device (cuda, vaapi) where one costs the CPU less than software; off: software; or a device",
    )


class Detection(Section):
    """MobileNet."""

    model: Literal["ssdlite_mobilenet_v2", "ssdlite320_mobilenet_v3_large"] = Field(
        "ssdlite_mobilenet_v2", description="the network"
    )
    backend: Literal["auto", "openvino", "openvino-bf16", "openvino-int8", "onnxruntime", "torch", "torch-compiled"] = Field(
        "auto", description="auto: the fastest on this machine, which is measured once and remembered"
    )
    fps: float = Field(5.0, gt=0, le=30, description="frames a second, per moving camera, of which crops are taken")
    crops_per_frame: int = Field(4, ge=1, le=16, description="crops of one frame at most")
    min_score: Fraction = Field(0.3, description="verdicts below this are not even tracked")
    batch_size: int = Field(
        8, ge=1, le=256, description="crops in one batch at most, on a GPU; on a CPU each request goes alone"
    )
    batch_wait_s: DurationS = Field(0.01, ge=0, description="time for which a batch waits to fill, on a GPU")
    in_flight: int = Field(
        2, ge=1, le=16, description="frames of one camera that may wait for verdicts; newer ones wait, the newest wins"
    )
    actors: int | None = Field(
        None, ge=1, le=64, description="detector actors that the cameras share; none means one a GPU, or one to six cores"
    )
    threads: int = Field(1, ge=1, le=64, description="CPU threads of one detector actor")


class Events(Section):
    """When seen becomes an event."""

    lost_s: DurationS = Field(3.0, gt=0, description="time without a view after which an object has left")
    cool_down_s: DurationS = Field(
        5.0, ge=0, description="an object of the same kind back at the same place within this continues its event"
    )
    motion_min_s: DurationS = Field(3.0, ge=0, description="motion that no object explains is an event when it lasts this long")
    snapshots: bool = Field(True, description="whether a JPEG of the best view is kept")


class SecondCopy(Section):
    """Where the footage of object events is copied to."""

    to: Store = Field(description="a folder that exists, or a URL of fsspec's: s3://bucket/folder, sftp://host/folder")
    pre_roll: DurationS = Field(10.0, ge=0, description="footage before an event that belongs to it")
    post_roll: DurationS = Field(20.0, ge=0, description="footage after an event that belongs to it")

    @property
    def folder(self) -> Path | None:
        """The folder, where it is one on this machine."""
        scheme, separator, path = self.to.rpartition("://")
        if not separator:
            return Path(self.to)
        return Path(path) if scheme in ("file", "local") else None


class Recording(Section):
    """Footage on disk."""

    root: Path = Field(Path("var/recordings"), description="folder of all footage and of the catalog")
    segment_s: int = Field(60, ge=5, le=3600, description="length of a segment; cut at keyframes, at multiples of this")
    sweep_s: DurationS = Field(30.0, gt=0, description="time between two looks at what must go")
    start_batch: int = Field(4, ge=1, description="recorders started together")
    replicas: int = Field(1, ge=1, le=8, description="storage nodes that record each camera")
    keep: Retention = Retention()
    copy_events: SecondCopy | None = Field(None, description="second copy of the footage of object events; none means no copy")

    @model_validator(mode="after")
    def _apart(self) -> "Recording":
        folder = None if self.copy_events is None else self.copy_events.folder
        if folder is not None and folder.resolve().is_relative_to(self.root.resolve()):
            raise ValueError(
                f"copy_events.to: {folder} lies in root ({self.root}); write a folder elsewhere, best on another disk"
            )
        return self


class Logs(Section):
    """Local logs."""

    dir: Path = Field(Path("var/log"), description="folder of events.jsonl, snapshots and component logs")
    max_size: SizeBytes = Field(50_000_000, ge=1000, description="bytes after which events.jsonl is rotated")
    backups: int = Field(10, ge=1, description="rotated files that are kept")
    component_max_size: SizeBytes = Field(5_000_000, ge=1000, description="bytes after which a component's log is rotated")
    component_backups: int = Field(3, ge=1, description="rotated files of each component that are kept")


class Notify(Section):
    """Telling somebody of events at once."""

    kinds: tuple[str, ...] = Field(
        ("health",), description="kinds of events that are told, or whole categories: health, object"
    )
    quiet: DurationS = Field(300.0, ge=0, description="time in which a fault that comes again is not told again")
    webhook: ServerUrl | None = Field(None, description="web address that each notice is posted to")
    mqtt: MqttUrl | None = Field(None, description="MQTT broker: mqtt://user:${PASSWORD}@host:1883, or mqtts://")
    topic: str = Field("raycctv", pattern=r"^[^+#\x00]+$", description="MQTT topic below which notices are published")


class Loki(Section):
    """Events and logs over time, beside the local files."""

    url: ServerUrl = Field(description="the server, without a path; user and password as http://user:${PASSWORD}@host:3100")
    queue: int = Field(10_000, ge=1, description="lines of one component that wait for Loki; of more the oldest are dropped")


class Elasticsearch(Section):
    """Events searched in many ways, beside the catalog."""

    url: ServerUrl = Field(description="the server; user and password as http://user:${PASSWORD}@host:9200")
    ca: Path | None = Field(None, description="certificate of the authority that signed the server's, where it is your own")
    keep: DurationS = Field(90 * 86400.0, ge=3600, description="age at which Elasticsearch deletes events and logs")


class Tls(Section):
    """Encryption of the console."""

    certificate: Path = Field(description="PEM file of the certificate, with those of the authorities between")
    key: Path = Field(description="PEM file of its private key, without a password")


class ExportLimits(Section):
    """What exports of the console may take of the disk that the footage is on."""

    max_count: int = Field(200, ge=1, description="exports that are kept; another one takes that one is deleted")
    max_size: SizeBytes = Field(50_000_000_000, ge=1, description="bytes of all exports together")


class Console(Section):
    """The web console."""

    host: str = Field("127.0.0.1", description="address that it listens on; 0.0.0.0 is every one of this machine")
    port: int = Field(8420, ge=1, le=65535, description="TCP port that it listens on")
    tls: Tls | None = Field(None, description="certificate and key; none means without encryption, on loopback")
    insecure: bool = Field(False, description="listen on an address that others reach without encryption all the same")
    public_url: ServerUrl | None = Field(None, description="where people reach it, where a proxy stands before it")
    session: DurationS = Field(12 * 3600.0, ge=60, description="time without a request after which one must log in again")
    ray_dashboard: ServerUrl | None = Field(None, description="address of the Ray dashboard that the System page links to")
    grafana: ServerUrl | None = Field(None, description="address of the Grafana that the System page links to")
    exports: ExportLimits = Field(ExportLimits(), description="what exports may take of the disk")

    @model_validator(mode="after")
    def _encrypted(self) -> "Console":
        if not (self.tls or self.insecure or _is_loopback(self.host)):
            raise ValueError(
                f"host {self.host} is reached by others, and passwords would travel in the clear: name tls.certificate "
                "and tls.key, listen on 127.0.0.1 behind a proxy that encrypts, or write insecure: true"
            )
        return self

    @property
    def url(self) -> str:
        """Where people reach it."""
        if self.public_url is not None:
            return str(self.public_url).rstrip("/")
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - a comparison
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """Whether browsers reach it by HTTPS alone."""
        return self.url.startswith("https:")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Config(Section):
    """The whole file."""

    cameras: dict[Annotated[CameraName, AfterValidator(_check_name)], Camera] = Field(min_length=1, description="name: camera")
    cameras_per_reader: int | None = Field(
        None,
        ge=1,
        description="cameras to a reader actor; none means one, and several where there are more than four to a core",
    )
    decode: Decode = Decode()
    motion: Motion = Motion()
    detection: Detection = Detection()
    events: Events = Events()
    recording: Recording = Recording()
    logs: Logs = Logs()
    notify: Notify = Notify()
    loki: Loki | None = Field(None, description="where events and logs are pushed to; none means nowhere")
    elasticsearch: Elasticsearch | None = Field(None, description="where events are sent to be searched; none means nowhere")
    console: Console | None = Field(None, description="the web console; none means that there is none")

    def on(self, node: str) -> "Config":
        """As it holds on a node of a cluster: ``{node}`` in folders is the node's name."""
        recording = self.recording.model_copy(update={"root": _of_node(self.recording.root, node)})
        return self.model_copy(
            update={"recording": recording, "logs": self.logs.model_copy(update={"dir": _of_node(self.logs.dir, node)})}
        )


NODE = "{node}"
"""Stands for the node's name in ``recording.root`` and ``logs.dir``."""


def _of_node(folder: Path, node: str) -> Path:
    return Path(str(folder).replace(NODE, node))
