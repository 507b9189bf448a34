"""Every error that raycctv raises on purpose.

    RaycctvError
    ├── ConfigError            a configuration file is wrong; names the file and the key
    ├── StreamError            a camera's stream
    │   ├── StreamUnreachable  cannot be opened: no server, refused, not published, timed out
    │   ├── StreamUnreadable   opened, but there is nothing here to analyse: no video, unknown codec
    │   └── StreamEnded        the publisher went away, or the connection broke
    ├── WeightsError           detector weights
    │   ├── WeightsMissing     not installed; names the command that installs them
    │   └── WeightsCorrupt     not what was pinned
    ├── DetectorError          a network that cannot be run: unknown model or backend, wrong input
    ├── RecordingError         a folder that cannot be written, a recorder that cannot be started, a copy that is not whole
    ├── CatalogError           the SQLite catalog
    ├── SinkError              a server that events or logs go to: unreachable, or it refuses
    ├── ServerError            the local RTMP server: port in use, nginx missing or refused its configuration
    ├── ClusterError           Ray: no cluster, an actor that did not come up
    └── ConsoleError           the console: its accounts cannot be read or written, its port is taken

Vendor errors (PyAV, SQLite, ffmpeg, OpenVINO) become one of these once, at the boundary, with ``raise ... from``.
All of them pickle, because they travel between Ray actors. A message is one line, says where and what would be
right, and holds no password: put URLs into it with :func:`raycctv.redact.redact`.
"""

__all__ = [
    "CatalogError",
    "ClusterError",
    "ConfigError",
    "ConsoleError",
    "DetectorError",
    "RaycctvError",
    "RecordingError",
    "ServerError",
    "SinkError",
    "StreamEnded",
    "StreamError",
    "StreamUnreachable",
    "StreamUnreadable",
    "WeightsCorrupt",
    "WeightsError",
    "WeightsMissing",
]


class RaycctvError(Exception):
    """The root: catch it to catch everything that raycctv raises on purpose. ``str()`` is one line for a person."""


class ConfigError(RaycctvError):
    """A configuration that cannot be used. The message names the file and the key."""


class StreamError(RaycctvError):
    """Something about one camera's stream."""


class StreamUnreachable(StreamError):
    """The stream cannot be opened now; trying again later may help."""


class StreamUnreadable(StreamError):
    """The stream opens, but holds no video that can be decoded."""


class StreamEnded(StreamError):
    """The stream was there and is gone."""


class WeightsError(RaycctvError):
    """Something about a detector's weights."""


class WeightsMissing(WeightsError):
    """The weights are not installed. The message names the command that installs them."""


class WeightsCorrupt(WeightsError):
    """The weights are not the ones that were pinned."""


class DetectorError(RaycctvError):
    """A detector that cannot be built or cannot run on what it was given."""


class RecordingError(RaycctvError):
    """Footage cannot be written or a recorder cannot be started."""


class CatalogError(RaycctvError):
    """The catalog cannot be opened, read or written."""


class SinkError(RaycctvError):
    """A server that events or logs go to does not answer, or not as it should."""


class ServerError(RaycctvError):
    """The local RTMP server cannot run."""


class ClusterError(RaycctvError):
    """The Ray cluster, or an actor on it, is not there."""


class ConsoleError(RaycctvError):
    """The console cannot be served, or its accounts cannot be read or written."""
