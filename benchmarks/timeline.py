"""How long does it take to open a day of 32 cameras, and an hour to play?

Makes a catalog of 32 cameras with minute segments and events over 30 days, and asks the console's real routes for a day of
all cameras (``/api/timeline``), a page of events, and one that is searched for. Then makes an hour of real segments of one
camera, and asks for it as a film: its description, which reads where every frame lies (cold: nothing is remembered), its first
bytes, and all of it. Each figure is the median of several, in this process, without a network.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from raycctv.clock import NS_PER_S, SystemClock, iso
from raycctv.config import Camera, Config, Console, Logs, Recording, StreamUrl
from raycctv.console.access import COOKIE
from raycctv.console.accounts import Accounts
from raycctv.console.app import create_app
from raycctv.console.database import DATABASE_NAME
from raycctv.console.media import samples
from raycctv.console.routes.films import Films
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.filing import described
from raycctv.recording.layout import filed_path
from raycctv.types import CameraName, Event, Picture, Segment

BEGAN_NS = 1_700_006_400 * NS_PER_S
"""A midnight."""

DAY_NS = 86400 * NS_PER_S
MINUTE_NS = 60 * NS_PER_S
BATCH = 50_000
REPEATS = 7


class NoCluster:
    """Nothing here asks it."""

    def status(self) -> dict[str, Any]:
        return {}

    def picture(self, camera: CameraName, width_px: int) -> Picture | None:  # noqa: ARG002
        return None

    def reload(self, config: Config) -> None: ...

    def nodes(self) -> list[dict[str, Any]]:
        return []


def name(number: int) -> CameraName:
    return CameraName(f"camera{number:02}")


def segments(cameras: int, days: int) -> Iterator[Segment]:
    """In the order of time. Every camera has a gap of three minutes twice a day, each at another time."""
    for minute in range(days * 1440):
        for number in range(cameras):
            if (minute + 41 * number) % 720 >= 3:
                path = f"{name(number)}/day/{minute:09}.mp4"
                yield Segment(
                    name(number), path, BEGAN_NS + minute * MINUTE_NS, MINUTE_NS, 3_000_000, "h264", 1920, 1080
                )  # fmt: skip


def fill(catalog: Catalog, cameras: int, days: int, events_a_day: int) -> None:
    """Segments and events."""
    catalog._connection.execute("PRAGMA synchronous = OFF")  # each event is a transaction
    for number in range(cameras * days * events_a_day):  # first, since one looks at all footage that follows it
        catalog.put_event(event(number, cameras, days * DAY_NS * number // (cameras * days * events_a_day)))
    batch: list[Segment] = []
    for segment in segments(cameras, days):
        batch.append(segment)
        if len(batch) == BATCH:
            catalog.add_segments(batch)
            batch.clear()
    catalog.add_segments(batch)


def event(number: int, cameras: int, after_ns: int) -> Event:
    kind = ("person", "car", "motion", "dog")[number % 4]
    begun_ns = BEGAN_NS + after_ns
    labels = {} if kind == "motion" else {kind: 0.8}
    return Event(
        f"e{number:08}", name(number % cameras), kind, begun_ns, begun_ns + 15 * NS_PER_S, labels, ("gate",), (0, 0, 9, 9), 0.8,
        "benchmark", None, "named in 5 of 6 views",
    )  # fmt: skip


def record_hour(root: Path, catalog: Catalog, camera: CameraName, from_ns: int) -> None:
    """Sixty segments of 1920 x 1080 at 15 frames a second, a keyframe every two seconds, 4 Mbit/s, as a recorder writes."""
    clip = root / "minute.mp4"
    drawn = ["-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=15:d=60", "-pix_fmt", "yuv420p"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M"]
    fragments = ["-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "1000000"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *drawn, *coded, *fragments, str(clip)], check=True)
    first: Segment | None = None
    for minute in range(60):
        path = filed_path(root, camera, from_ns + minute * MINUTE_NS)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(clip)
        first = described(root, camera, path) if first is None else first
        started_ns = from_ns + minute * MINUTE_NS
        catalog.add_segment(replace(first, path=path.relative_to(root).as_posix(), started_at_ns=started_ns))


@contextmanager
def browser(root: Path, cameras: int) -> Iterator[TestClient]:
    """Somebody who is logged in."""
    source = StreamUrl.parse("rtmp://127.0.0.1:9/live/none")
    config = Config(
        cameras={name(number): Camera(source=source) for number in range(cameras)},
        recording=Recording(root=root), logs=Logs(dir=root / "log"), console=Console(),
    )  # fmt: skip
    accounts = Accounts.open(root / DATABASE_NAME, SystemClock())
    if accounts.find("somebody") is None:
        accounts.add("somebody", "administrator", None, "a long enough password")
    account = accounts.find("somebody")
    assert account is not None
    app = create_app(config, NoCluster(), accounts, SystemClock(), None)
    with TestClient(app) as client:
        client.cookies.set(COOKIE, app.state.service.sessions.begin(account))
        yield client
    accounts.close()


def median_ms(act: Callable[[int], object]) -> float:
    spent = []
    for number in range(REPEATS):
        began_s = time.perf_counter()
        act(number)
        spent.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(spent)


def ask(client: TestClient, address: str, **headers: str) -> Any:
    got = client.get(address, headers=headers)
    assert got.status_code in (200, 206), got.text
    return got


def make(root: Path, cameras: int, days: int, events_a_day: int) -> None:
    """Everything that is asked about."""
    with Catalog(root / CATALOG_NAME) as catalog:
        fill(catalog, cameras, days, events_a_day)
        record_hour(root, catalog, name(0), BEGAN_NS + days * DAY_NS)


def measure(root: Path, cameras: int, days: int) -> dict[str, float]:
    """Milliseconds by question."""
    hour_ns = BEGAN_NS + days * DAY_NS
    with browser(root, cameras) as client:

        def day(number: int) -> object:
            from_ns = BEGAN_NS + (number * days // REPEATS) * DAY_NS
            answer = ask(client, f"/api/timeline?from={iso(from_ns)}&to={iso(from_ns + DAY_NS)}")
            assert len(answer.json()["cameras"]) == cameras
            return answer

        hour = f"from={iso(hour_ns)}&to={iso(hour_ns + 3600 * NS_PER_S)}"

        def described_cold(_: int) -> object:
            samples._remembered.cache_clear()
            client.app.state.service.parts[Films] = Films(client.app.state.service)  # type: ignore[attr-defined]
            return ask(client, f"/api/cameras/{name(0)}/film?{hour}")

        film = f"/api/cameras/{name(0)}/film.mp4?{hour}"
        spent = {
            "a day of all cameras": median_ms(day),
            "the newest 50 events": median_ms(lambda _: ask(client, "/api/events?limit=50")),
            "50 events that are searched for": median_ms(
                lambda _: ask(client, "/api/events?limit=50&search=person AND zone:gate")
            ),
            "an hour as a film, described": median_ms(described_cold),
            "its first bytes": median_ms(lambda _: ask(client, film, Range="bytes=0-99")),
            "all of it": median_ms(lambda _: ask(client, film)),
        }
        size_mb = ask(client, f"/api/cameras/{name(0)}/film?{hour}").json()["size_bytes"] / 1e6
    return {"film_mb": round(size_mb), **spent}


def measured(root: Path, options: argparse.Namespace) -> dict[str, float]:
    if not (root / CATALOG_NAME).exists():
        root.mkdir(parents=True, exist_ok=True)
        make(root, options.cameras, options.days, options.events)
    return measure(root, options.cameras, options.days)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cameras", type=int, default=32)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--events", type=int, default=60, help="of each camera, each day")
    parser.add_argument("--folder", type=Path, help="where to make all of it, or what an earlier run has made")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    if options.folder:
        found = measured(options.folder, options)
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(Path(folder), options)
    if options.json:
        print(json.dumps(found))
        return
    print(f"the hour has {found.pop('film_mb')} MB\n\n| question | ms |\n|---|---|")
    for question, ms in found.items():
        print(f"| {question} | {ms:.0f} |")


if __name__ == "__main__":
    main()
