"""What does it cost to publish the metrics of many cameras?

A reader publishes the counters of all its cameras through Ray every few seconds, in a thread of its own. Here an actor does
that for so many cameras whose counters have moved as they do between two publications; CPU time of the thread.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import ray

from actors.cluster import private_cluster
from actors.metrics import EVERY_S, Publisher, Sample, of_reader
from raycctv.live import ReaderStats
from raycctv.types import CameraName

FPS = 15


@ray.remote(num_cpus=0.01)
class Publishing:
    """A reader without its streams."""

    def __init__(self, cameras: int) -> None:
        self._stats = [ReaderStats(CameraName(f"camera{index + 1:02d}"), state="streaming") for index in range(cameras)]
        self._publisher = Publisher(self._samples, every_s=86400)

    def _samples(self) -> Iterator[Sample]:
        for stats in self._stats:
            yield from of_reader(stats)

    def _pass_time(self) -> None:
        """What a moving camera counts between two publications."""
        for stats in self._stats:
            stats.frames += round(FPS * EVERY_S)
            stats.decoded_frames += round(FPS * EVERY_S)
            stats.candidates += 25
            stats.dropped["superseded"] = stats.dropped.get("superseded", 0) + 1
            stats.events["person"] = stats.events.get("person", 0) + 1
            stats.lags_s.extend([0.1] * round(FPS * EVERY_S))

    def publish(self, times: int) -> tuple[int, list[float]]:
        """Samples of one publication, and CPU ms of each."""
        spent_ms = []
        for _ in range(times):
            self._pass_time()
            before_s = time.thread_time()
            self._publisher.publish()
            spent_ms.append(1000 * (time.thread_time() - before_s))
        return len(list(self._samples())), spent_ms


def measured(cameras: int, publications: int) -> dict[str, Any]:
    """The first publication makes the metrics, and does not count."""
    make: Any = Publishing  # of which Ray's decorator tells no type
    with private_cluster():
        publishing = make.remote(cameras)
        ray.get(publishing.publish.remote(1))
        samples, spent_ms = ray.get(publishing.publish.remote(publications))
    median_ms = statistics.median(spent_ms)
    return {"cameras": cameras, "samples": samples, "ms": median_ms, "cores": median_ms / 1000 / EVERY_S}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cameras", type=int, default=32)
    parser.add_argument("--publications", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    row = measured(options.cameras, options.publications)
    if options.json:
        print(json.dumps(row))
        return
    print("| cameras | samples | CPU ms a publication | cores |\n|---|---|---|---|")
    print(f"| {row['cameras']} | {row['samples']} | {row['ms']:.2f} | {row['cores']:.5f} |")


if __name__ == "__main__":
    main()
