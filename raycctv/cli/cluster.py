"""``raycctv check``, ``up``, ``reload``, ``status``, ``down``: a configuration, and raycctv running it on Ray."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, progress, shown_by, stderr, stdout
from raycctv.config import Config, load
from raycctv.errors import ClusterError, ConfigError, RaycctvError

ConfigFile = Annotated[Path, typer.Argument(help="Configuration (YAML).", show_default=True)]
Address = Annotated[str | None, typer.Option(help="Ray cluster, for example ray://host:10001. Default: this machine's.")]
DEFAULT_CONFIG = Path("cameras.yaml")

_WAITS = "waits:"
"""How a status begins that says what the cluster lacks."""


def check(
    config: ConfigFile = DEFAULT_CONFIG,
    probe: Annotated[bool, typer.Option("--probe", help="Open every camera and say what it sends.")] = False,
    json: Json = False,
) -> None:
    """Validate a configuration; with --probe also try the cameras. Exits 1 where something is wrong."""
    try:
        loaded = load(config)
    except ConfigError as error:
        if json:
            print_json({"valid": False, "error": str(error)})
            raise typer.Exit(1) from None
        stdout.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    cameras = _probed(loaded) if probe else _listed(loaded)
    if json:
        print_json({"valid": True, "cameras": cameras})
    else:
        columns = list(dict.fromkeys(key for camera in cameras for key in camera))
        print_table(f"{config}: valid", columns, [[_plain(camera.get(key)) for key in columns] for camera in cameras])
    if any("error" in camera for camera in cameras):
        raise typer.Exit(1)


def up(
    config: ConfigFile = DEFAULT_CONFIG,
    address: Address = None,
    dashboard_port: Annotated[int, typer.Option(help="Port of the Ray dashboard, when a cluster is started here.")] = 8265,
) -> None:
    """Run CONFIG on the Ray cluster; starts one on this machine where there is none.

    Running it again with a changed file touches only what changed.
    """
    from actors import cluster

    loaded = load(config)
    with progress() as bar:
        show = shown_by(bar)
        if address is None and cluster.local_address() is None:
            show("starting Ray", 0, 1)
            cluster.start_head(dashboard_port)
        with cluster.connected(address) as dashboard:
            _warn_unless_protected()
            parts = cluster.status(cluster.deploy(loaded, show, config.resolve()))
            first = cluster.first_password() if loaded.console and not cluster.in_a_job() else None
    stdout.print(f"running {len(loaded.cameras)} cameras; Ray dashboard: {dashboard or 'none'}", markup=False)
    _print_waiting(parts)
    if loaded.console is not None:
        stdout.print(f"console: {loaded.console.url}", markup=False)
        if cluster.in_a_job():
            stdout.print("its first password is not shown in a job's log: `raycctv console password` makes one", markup=False)
    if first is not None:
        stdout.print(f"log in as {first[0]} with the password {first[1]} (this is shown once)", markup=False)


def reload(config: ConfigFile = DEFAULT_CONFIG, address: Address = None, json: Json = False) -> None:
    """Make the running raycctv run a changed CONFIG. What did not change is not touched: nothing of it restarts."""
    from actors import cluster

    loaded = load(config)
    with progress() as bar, cluster.connected(address):
        changed = cluster.reload(loaded, shown_by(bar), config.resolve())
        parts = cluster.status(cluster.running())
    if json:
        print_json({**changed, "cameras": len(loaded.cameras)})
        return
    said = [f"{what} {', '.join(cameras)}" for what, cameras in changed.items() if cameras]
    stdout.print(f"running {len(loaded.cameras)} cameras; {'; '.join(said) or 'cameras as before'}", markup=False)
    _print_waiting(parts)


def status(address: Address = None, json: Json = False) -> None:
    """What every part of the running raycctv is doing. Exits 1 where raycctv does not run or a part has failed."""
    from actors import cluster

    with cluster.connected(address):
        supervisor = cluster.running()
        if supervisor is None:
            raise ClusterError("raycctv does not run on this Ray cluster; `raycctv up CONFIG` starts it")
        parts = cluster.status(supervisor)
    if json:
        print_json(parts)
    else:
        _print_status(parts)
    if any("error" in part and set(part) == {"error"} for part in parts.values()):
        raise typer.Exit(1)


def down(
    address: Address = None,
    keep_recording: Annotated[
        bool, typer.Option("--keep-recording", help="Leave the recorders running; the next `up` adopts them.")
    ] = False,
    keep_ray: Annotated[bool, typer.Option("--keep-ray", help="Leave the Ray running that `up` has started.")] = False,
) -> None:
    """Stop raycctv: the recorders finish their files. The Ray that `up` started on this machine is stopped too."""
    from actors import cluster

    with cluster.connected(address):
        supervisor = cluster.running()
        if supervisor is not None:
            cluster.undeploy(supervisor, keep_recording=keep_recording)
    ray_stopped = not keep_ray and address is None and cluster.stop_head()
    stdout.print("stopped" if supervisor is not None else "raycctv was not running", "and Ray too" if ray_stopped else "")


def _warn_unless_protected() -> None:
    from raycctv.sealing import protected

    if not protected():
        stderr.print(
            "warning: this Ray asks for no token, so whoever reaches its ports may read passwords and run programs; "
            "docs/operations.md, Safety",
            style="yellow",
            markup=False,
        )


def _plain(value: Any) -> object:
    """A value of JSON in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else value


def _listed(config: Config) -> list[dict[str, Any]]:
    return [
        {
            "camera": name,
            "source": str(camera.pull or camera.source),
            "recorded": camera.recorded,
            "objects": ", ".join(camera.objects),
        }
        for name, camera in config.cameras.items()
    ]


def _probed(config: Config) -> list[dict[str, Any]]:
    """Every camera opened, eight at a time, since most of a probe is waiting."""
    from raycctv.pipeline import probe

    def one(name: Any) -> dict[str, Any]:
        url = config.cameras[name].pull or config.cameras[name].analysed
        row: dict[str, Any] = {"camera": name, "source": str(url)}
        try:
            info = probe(name, url)
        except RaycctvError as error:
            return {**row, "error": str(error)}
        return {**row, "codec": info.codec, "width": info.width_px, "height": info.height_px, "fps": info.frame_rate}

    with progress() as bar, ThreadPoolExecutor(8) as pool:
        return list(bar.track(pool.map(one, config.cameras), total=len(config.cameras), description="probing cameras"))


def _print_status(parts: dict[str, Any]) -> None:
    readers = {name.removeprefix("reader:"): part for name, part in parts.items() if name.startswith("reader:")}
    storages = {name: part for name, part in parts.items() if name.partition(":")[0] == "storage"}
    recorders, relays = _of_all(storages, "recorders"), _of_all(storages, "relays")
    columns = ["camera", "analysis", "recording", "coverage 24 h", "frames", "lag p95 s", "crops", "dropped", "events"]
    rows = [[name, *_camera_cells(reader, recorders.get(name))] for name, reader in readers.items()]
    print_table("Cameras", columns, rows)
    others = [(name, part) for name, part in parts.items() if not name.startswith("reader:")]
    print_table("Other actors", ["actor", "status"], [[name, _summary(part)] for name, part in others])
    for kind, group in (("analysis", readers), ("recorder", recorders), ("relay", relays), ("actor", dict(others))):
        for name, part in group.items():
            words = part.get("error") or (part.get("last_error") if not part.get("recording") else None)
            if words and not words.startswith(_WAITS):
                stdout.print(f"{kind} of {name}: {words}" if kind != "actor" else f"{name}: {words}", markup=False)
    for name, storage in storages.items():
        for what, words in storage.get("errors", {}).items():
            stdout.print(f"{name}, {what}: {words}", markup=False)
    _print_waiting(parts)


def _print_waiting(parts: dict[str, Any]) -> None:
    """What does not run yet, since the cluster lacks what it needs."""
    waits = {name: part["error"] for name, part in parts.items() if str(part.get("error", "")).startswith(_WAITS)}
    for storage in parts.values():
        recorders = storage.get("recorders", {}).items()
        waits |= {f"recorder of {name}": recorder["waits"] for name, recorder in recorders if "waits" in recorder}
    for name, why in waits.items():
        stdout.print(f"{name}: {why}", style="yellow", markup=False)


def _of_all(storages: dict[str, Any], what: str) -> dict[str, dict[str, Any]]:
    """Recorders or relays by camera, of whoever has one; of several the one to which footage comes."""
    found: dict[str, dict[str, Any]] = {}
    for storage in storages.values():
        for name, part in storage.get(what, {}).items():
            if name not in found or part.get("recording"):
                found[name] = part
    return found


def _camera_cells(reader: dict[str, Any], recorder: dict[str, Any] | None) -> list[object]:
    lag_s = reader.get("lag_p95_s")
    coverage = (recorder or {}).get("coverage_24h")
    return [
        reader.get("state", "failed"),
        "-" if recorder is None else _recording(recorder),
        "-" if coverage is None else f"{coverage:.4f}",
        reader.get("frames", 0),
        "-" if lag_s is None else f"{lag_s:.2f}",
        reader.get("candidates", 0),
        sum(reader.get("dropped", {}).values()),
        ", ".join(f"{count} {kind}" for kind, count in reader.get("events", {}).items()) or "-",
    ]


def _recording(recorder: dict[str, Any]) -> str:
    if recorder["recording"]:
        return "yes"
    return "no" if recorder["pid"] is None else "waits"


def _summary(part: dict[str, Any]) -> str:
    said = {key: value for key, value in part.items() if not isinstance(value, dict) and key not in ("pid", "error")}
    return ", ".join(f"{key} {_cell(key, value)}" for key, value in said.items()) or "-"


def _cell(key: str, value: Any) -> str:
    if key.endswith("_bytes"):
        return f"{value / 1e9:.1f} GB"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
