"""The configuration: what may be said (:mod:`.schema`, :mod:`.units`) and how a file becomes it (:mod:`.load`)."""

from raycctv.config.load import digest, load, parse
from raycctv.config.schema import (
    NODE,
    Camera,
    CameraRetention,
    Config,
    Decode,
    Detection,
    Elasticsearch,
    Events,
    Logs,
    Loki,
    Motion,
    Notify,
    ObjectRule,
    Recording,
    Retention,
    SecondCopy,
)
from raycctv.config.units import FreeSpace, MqttUrl, ServerUrl, StreamUrl

__all__ = [
    "NODE",
    "Camera",
    "CameraRetention",
    "Config",
    "Decode",
    "Detection",
    "Elasticsearch",
    "Events",
    "FreeSpace",
    "Logs",
    "Loki",
    "Motion",
    "MqttUrl",
    "Notify",
    "ObjectRule",
    "Recording",
    "Retention",
    "SecondCopy",
    "ServerUrl",
    "StreamUrl",
    "digest",
    "load",
    "parse",
]
