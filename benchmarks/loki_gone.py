"""Does a Loki that is gone, or that takes connections and never answers, slow the pipeline down?

Runs ``raycctv loadtest`` three times with the same cameras, one after the other: with no Loki configured, with one at whose
address nobody listens, and with one that is silent. Every actor pushes what it logs, and the sink each event. Asked is whether
frames are analysed later, and footage or crops lost.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Run = dict[str, Any]


@contextmanager
def gone() -> Iterator[str]:
    """The URL of a port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a server that takes every connection, reads nothing and answers nothing."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:  # closed: the run is over
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()


def loaded(cameras: int, seconds: int, warm_up_s: int, loki: str | None) -> Run:
    """One load test, summed up; lags and coverage are those of the worst camera."""
    asked = ["--cameras", str(cameras), "--seconds", str(seconds), "--warm-up", str(warm_up_s), "--activity", "1"]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("raycctv")), "loadtest", *asked, "--folder", folder, "--json"]
        done = subprocess.run([*command, *(["--loki", loki] if loki else [])], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit("the load test failed; it says above why")
    run = json.loads(done.stdout)
    each = run["cameras"]
    return {
        "cpu_cores": run["cpu_cores"]["total"],
        "lag_p50_s": max(camera["lag_p50_s"] for camera in each),
        "lag_p95_s": max(camera["lag_p95_s"] for camera in each),
        "coverage": min(camera["coverage"] for camera in each),
        "crops": sum(camera["candidates"] for camera in each),
        "dropped": sum(sum(camera["dropped"].values()) for camera in each),
        "events": sum(run["events"].values()),
        "loki": run["servers"].get("loki"),
    }


def measured(cameras: int, seconds: int, warm_up_s: int) -> dict[str, Run]:
    """By how Loki is."""
    runs = {"no Loki": loaded(cameras, seconds, warm_up_s, None)}
    for name, server in {"a Loki that is gone": gone, "a Loki that is silent": silent}.items():
        with server() as url:
            runs[name] = loaded(cameras, seconds, warm_up_s, url)
    return runs


def print_table(runs: dict[str, Run]) -> None:
    columns = ["", "lag p50, s", "lag p95, s", "cores", "coverage", "crops", "dropped", "events", "of the sink's lines taken"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, run in runs.items():
        loki = run["loki"]
        taken = "" if loki is None else f"{loki['sent']} of {sum(loki[key] for key in ('sent', 'queued', 'dropped'))}"
        print(
            f"| {name} | {run['lag_p50_s']:.3f} | {run['lag_p95_s']:.3f} | {run['cpu_cores']:.2f} | {run['coverage']:.3f} "
            f"| {run['crops']} | {run['dropped']} | {run['events']} | {taken} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=60, help="of each run")
    parser.add_argument("--warm-up", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    runs = measured(options.cameras, options.seconds, options.warm_up)
    if options.json:
        print(json.dumps(runs))
        return
    print_table(runs)


if __name__ == "__main__":
    main()
