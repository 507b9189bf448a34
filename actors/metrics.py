"""Metrics through Ray, so that they are in its dashboard and in Prometheus, there with ``ray_`` before their names.

They are made of counters that exist anyway, every few seconds, never once a frame: 32 cameras publish as one would.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from ray.util.metrics import Counter, Gauge

from raycctv.types import Fallback

if TYPE_CHECKING:
    from raycctv.sinks.loki import LokiHandler

log = logging.getLogger(__name__)

EVERY_S = 5.0
"""Time between two publications."""

_LAGS = 75
"""Frames of 5 s at 15 a second."""


@dataclass(frozen=True)
class Metric:
    """One metric; a counter's values are totals since its process started."""

    kind: Literal["counter", "gauge"]
    description: str
    tags: tuple[str, ...] = ()


METRICS: Mapping[str, Metric] = {
    "raycctv_camera_up": Metric("gauge", "1 while the camera's stream is read.", ("camera",)),
    "raycctv_frames_total": Metric("counter", "Pictures that the stream carried.", ("camera",)),
    "raycctv_decoded_frames_total": Metric("counter", "Pictures that were decoded.", ("camera",)),
    "raycctv_decoded_whole": Metric(
        "gauge", "1 while every picture is decoded, whatever it shows, for this reason.", ("camera", "reason")
    ),
    "raycctv_wakes_total": Metric("counter", "Times that something woke a quiet camera's decoder.", ("camera", "by")),
    "raycctv_false_wakes_total": Metric("counter", "Of these, those after which nothing was found.", ("camera",)),
    "raycctv_audits_total": Metric("counter", "Looks at all pictures of a quiet camera's GOP.", ("camera",)),
    "raycctv_audit_misses_total": Metric("counter", "Of these, those that found motion.", ("camera",)),
    "raycctv_corrupt_total": Metric("counter", "Packets and pictures that could not be decoded whole.", ("camera",)),
    "raycctv_lag_seconds": Metric("gauge", "Capture to analysed, the longest of the last 75 frames.", ("camera",)),
    "raycctv_candidates_total": Metric("counter", "Crops that a detector answered for.", ("camera",)),
    "raycctv_dropped_candidates_total": Metric("counter", "Crops without an answer, by reason.", ("camera", "reason")),
    "raycctv_events_total": Metric("counter", "Events begun.", ("camera", "kind")),
    "raycctv_inference_seconds_total": Metric("counter", "Time in which a batch was computed.", ("detector",)),
    "raycctv_inference_batches_total": Metric("counter", "Batches computed.", ("detector",)),
    "raycctv_inference_crops_total": Metric("counter", "Crops in these batches.", ("detector",)),
    "raycctv_recorder_recording": Metric("gauge", "1 while footage comes.", ("camera",)),
    "raycctv_recorder_starts_total": Metric("counter", "Starts of the camera's recorder.", ("camera",)),
    "raycctv_recording_coverage_ratio": Metric(
        "gauge", "Share of the last 24 hours in which the camera was sending and was recorded.", ("camera",)
    ),
    "raycctv_recorded_bytes_total": Metric("counter", "Bytes of footage filed."),
    "raycctv_segments_filed_total": Metric("counter", "Segments filed."),
    "raycctv_segments_deleted_total": Metric("counter", "Segments that the rules deleted."),
    "raycctv_disk_free_bytes": Metric("gauge", "Free on the disk of the recordings."),
    "raycctv_disk_size_bytes": Metric("gauge", "Size of the disk of the recordings."),
    "raycctv_unwritten_events": Metric("gauge", "States of events that wait for a disk that cannot be written."),
    "raycctv_outbox_depth": Metric("gauge", "States of events that a server has not confirmed.", ("server",)),
    "raycctv_delivered_total": Metric("counter", "States of events that a server has confirmed.", ("server",)),
    "raycctv_refused": Metric("gauge", "States of events that a server will not take, kept in the outbox.", ("server",)),
    "raycctv_loki_dropped_lines_total": Metric("counter", "Lines that Loki did not take in time or at all.", ("component",)),
}


@dataclass(frozen=True)
class Sample:
    """What a metric is now."""

    name: str
    value: float
    tags: Mapping[str, str]


def of_reader(stats: Any) -> Iterator[Sample]:
    """Samples of :class:`raycctv.live.ReaderStats`."""
    camera = {"camera": stats.camera}
    yield Sample("raycctv_camera_up", float(stats.state == "streaming"), camera)
    yield Sample("raycctv_frames_total", stats.frames, camera)
    yield Sample("raycctv_decoded_frames_total", stats.decoded_frames, camera)
    yield Sample("raycctv_corrupt_total", stats.corrupt, camera)
    yield from _of_decoding(stats.decode, camera)
    yield Sample("raycctv_candidates_total", stats.candidates, camera)
    lag_s = max(islice(reversed(stats.lags_s.copy()), _LAGS), default=None)
    if lag_s is not None:
        yield Sample("raycctv_lag_seconds", lag_s, camera)
    for reason, count in dict(stats.dropped).items():
        yield Sample("raycctv_dropped_candidates_total", count, {**camera, "reason": reason})
    for kind, count in dict(stats.events).items():
        yield Sample("raycctv_events_total", count, {**camera, "kind": kind})


def _of_decoding(decode: Mapping[str, Any], camera: Mapping[str, str]) -> Iterator[Sample]:
    """Samples of :meth:`raycctv.capture.adaptive.AdaptiveDecoder.status`, or of what decodes everything."""
    for fallback in Fallback:
        yield Sample("raycctv_decoded_whole", float(decode.get("fallback") == fallback), {**camera, "reason": fallback})
    for by, count in decode.get("wakes", {}).items():
        yield Sample("raycctv_wakes_total", count, {**camera, "by": by})
    for what in ("false_wakes", "audits", "audit_misses"):
        if what in decode:
            yield Sample(f"raycctv_{what}_total", decode[what], camera)


def of_detector(name: str, stats: Any) -> Iterator[Sample]:
    """Samples of :class:`actors.batching.BatchStats`."""
    detector = {"detector": name}
    yield Sample("raycctv_inference_seconds_total", stats.busy_s, detector)
    yield Sample("raycctv_inference_batches_total", stats.batches, detector)
    yield Sample("raycctv_inference_crops_total", stats.images, detector)


def of_storage(status: Mapping[str, Any]) -> Iterator[Sample]:
    """Samples of :meth:`raycctv.storage.Storage.status`."""
    for name, recorder in status["recorders"].items():
        camera = {"camera": name}
        yield Sample("raycctv_recorder_recording", float(recorder["recording"]), camera)
        yield Sample("raycctv_recorder_starts_total", recorder["starts"], camera)
        if recorder["coverage_24h"] is not None:
            yield Sample("raycctv_recording_coverage_ratio", recorder["coverage_24h"], camera)
    yield Sample("raycctv_recorded_bytes_total", status["filed_bytes"], {})
    yield Sample("raycctv_segments_filed_total", status["segments_filed"], {})
    yield Sample("raycctv_segments_deleted_total", status["segments_deleted"], {})
    yield Sample("raycctv_disk_free_bytes", status["free_bytes"], {})
    yield Sample("raycctv_disk_size_bytes", status["disk_bytes"], {})


def of_sink(status: Mapping[str, Any]) -> Iterator[Sample]:
    """Samples of the sink's status."""
    yield Sample("raycctv_unwritten_events", status["owed"], {})
    for name, server in status["servers"].items():
        if "owed" in server:
            yield Sample("raycctv_outbox_depth", server["owed"], {"server": name})
            yield Sample("raycctv_delivered_total", server["delivered"], {"server": name})
            yield Sample("raycctv_refused", server["refused"], {"server": name})


def of_loki(component: str, status: Mapping[str, Any]) -> Iterator[Sample]:
    """Samples of :meth:`raycctv.sinks.loki.LokiHandler.status`."""
    yield Sample("raycctv_loki_dropped_lines_total", status["dropped"] + status["refused"], {"component": component})


class Publisher:
    """Publishes what ``look`` yields, every 5 s, in a thread of its own, until closed.

    Args:
        loki: what this process pushes to Loki with; its counts are published too.
    """

    def __init__(
        self, look: Callable[[], Iterable[Sample]], loki: "LokiHandler | None" = None, every_s: float = EVERY_S
    ) -> None:
        self._look = look
        self._loki = loki
        self._every_s = every_s
        self._metrics: dict[str, Counter | Gauge] = {}
        self._totals: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publish no more. Idempotent."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.publish()
            except Exception:  # metrics must not end with one bad look
                log.exception("metrics could not be published; going on")

    def publish(self) -> None:
        """Publish once, now."""
        for sample in self._look():
            self._publish(sample)
        if self._loki is not None:
            for sample in of_loki(self._loki.component, self._loki.status()):
                self._publish(sample)

    def _publish(self, sample: Sample) -> None:
        metric = self._metric(sample.name)
        tags = dict(sample.tags)
        if isinstance(metric, Gauge):
            metric.set(sample.value, tags)
            return
        key = (sample.name, tuple(sorted(tags.items())))
        since = sample.value - self._totals.get(key, 0.0)
        self._totals[key] = sample.value
        if since < 0:  # what was counted began anew
            since = sample.value
        if since > 0:
            metric.inc(since, tags)

    def _metric(self, name: str) -> Counter | Gauge:
        if name not in self._metrics:
            known = METRICS[name]
            made = Counter if known.kind == "counter" else Gauge
            self._metrics[name] = made(name, description=known.description, tag_keys=known.tags)
        return self._metrics[name]
