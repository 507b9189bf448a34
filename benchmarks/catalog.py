"""How quick is the catalog with millions of segments?

Makes a catalog of 32 cameras with minute segments, and times what the commands and the storage actor ask of it: an hour of one
camera, what lies around a span, the newest events, one more segment, what a sweep must delete. Each figure is the median of
many; ratios are to the same question in a catalog a hundredth as large, in the same run. The memory of a sweep is the most that
Python held at once for it.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

from raycctv.clock import NS_PER_S
from raycctv.config import Retention
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.retention import Deletion, Rules, plan
from raycctv.types import CameraName, Event, Segment, Span

CAMERAS = 32
SEGMENT_NS = 60 * NS_PER_S
BEGAN_NS = 1_600_000_000 * NS_PER_S
BATCH = 50_000
REPEATS = 50
SWEPT = 32
"""Segments that are too many: what 32 cameras add in a minute."""

SIZE_BYTES = 3_000_000


def name(number: int) -> CameraName:
    return CameraName(f"camera{number:02}")


def segments(count: int) -> Iterator[Segment]:
    """In the order of time, all cameras in turn."""
    for number in range(count):
        camera, minute = name(number % CAMERAS), number // CAMERAS
        path = f"{camera}/day/{camera}_{minute:09}.mp4"
        yield Segment(camera, path, BEGAN_NS + minute * SEGMENT_NS, SEGMENT_NS, SIZE_BYTES, "h264", 1920, 1080)


def event(number: int, count: int) -> Event:
    """One of so many, spread over the footage."""
    start_ns = BEGAN_NS + number * (count // CAMERAS) * SEGMENT_NS // 1000
    end_ns, box = start_ns + 10 * NS_PER_S, (0, 0, 9, 9)
    return Event(
        f"e{number:06}",
        name(number % CAMERAS),
        "person",
        start_ns,
        end_ns,
        {"person": 0.9},
        (),
        box,
        0.9,
        "benchmark",
        None,
        "",
    )


def filled(path: Path, count: int) -> Catalog:
    """A catalog with so many segments and 1000 events."""
    catalog = Catalog(path)
    batch: list[Segment] = []
    for segment in segments(count):
        batch.append(segment)
        if len(batch) == BATCH:
            catalog.add_segments(batch)
            batch.clear()
            sys.stderr.write(".")
            sys.stderr.flush()
    catalog.add_segments(batch)
    for number in range(1000):
        catalog.put_event(event(number, count))
    return catalog


def median_ms(question: Callable[[int], object]) -> float:
    """Of one question, asked about different times."""
    spent = []
    for number in range(REPEATS):
        began_s = time.perf_counter()
        question(number)
        spent.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(spent)


def swept(catalog: Catalog, count: int) -> list[Deletion]:
    """What must go of so many segments where there is room for ``SWEPT`` less, and nothing is too old."""
    forever = {"continuous": "9999d", "motion": "9999d", "event": "9999d"}
    room = Retention.model_validate({**forever, "max_size": (count - SWEPT) * SIZE_BYTES, "min_free": "1B"})
    return plan(catalog, Rules(room), 1 << 40, 1 << 40, BEGAN_NS + count // CAMERAS * SEGMENT_NS)


def peak_bytes(question: Callable[[], object]) -> int:
    """The most that Python held at once for one question."""
    tracemalloc.start()
    question()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measure(path: Path, count: int) -> tuple[dict[str, float], int]:
    """Milliseconds by question, and bytes of memory for a sweep."""
    with filled(path, count) as catalog:
        minutes = count // CAMERAS

        def at_ns(number: int) -> int:
            return BEGAN_NS + (number * minutes // REPEATS) * SEGMENT_NS

        def hour(number: int) -> object:
            return catalog.segments(name(number % CAMERAS), at_ns(number), at_ns(number) + 60 * SEGMENT_NS)

        def around(number: int) -> object:
            return catalog.around(Span(name(number % CAMERAS), at_ns(number), at_ns(number) + 1))

        def add(number: int) -> None:
            one = Segment(name(0), f"new/{number}.mp4", at_ns(number), SEGMENT_NS, 1, "h264", 1920, 1080)
            catalog.add_segment(one)

        assert len(swept(catalog, count)) == SWEPT
        memory_bytes = peak_bytes(lambda: swept(catalog, count))
        spent_ms = {
            "what a sweep must delete": median_ms(lambda _: swept(catalog, count)),
            "an hour of one camera": median_ms(hour),
            "around a span": median_ms(around),
            "the newest 100 events": median_ms(lambda _: catalog.events(limit=100)),
            "one more segment": median_ms(add),
        }
        return spent_ms, memory_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--segments", type=int, default=10_000_000)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small, small_bytes = measure(Path(folder, "small", CATALOG_NAME), options.segments // 100)
        large, large_bytes = measure(Path(folder, "large", CATALOG_NAME), options.segments)
        size_bytes = Path(folder, "large", CATALOG_NAME).stat().st_size
    sys.stderr.write("\n")
    if options.json:
        sweep_bytes = {"small_sweep_bytes": small_bytes, "large_sweep_bytes": large_bytes}
        facts = {"segments": options.segments, "size_bytes": size_bytes, "small_ms": small, "large_ms": large, **sweep_bytes}
        print(json.dumps(facts))
        return
    print(f"| question | {options.segments // 100} segments, ms | {options.segments} segments, ms | ratio |\n|---|---|---|---|")
    for question, ms in large.items():
        print(f"| {question} | {small[question]:.2f} | {ms:.2f} | {ms / small[question]:.1f} |")
    print(f"| memory of a sweep, kB | {small_bytes / 1e3:.0f} | {large_bytes / 1e3:.0f} | {large_bytes / small_bytes:.1f} |")
    print(f"\n{size_bytes / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
