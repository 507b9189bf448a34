"""``raycctv check``, ``up``, ``status``, ``down``: a configuration, and raycctv running it on Ray."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, progress, stdout
from raycctv.config import Config, load
from raycctv.errors import ClusterError, ConfigError, RaycctvError

ConfigFile = Annotated[Path, typer.Argument(help="Configuration (YAML).", show_default=True)]
Address = Annotated[str | None, typer.Option(help="Ray cluster, for example ray://host:10001. Default: this machine's.")]
DEFAULT_CONFIG = Path("cameras.yaml")


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
        print_table(f"{config}: valid", columns, [[camera.get(key, "") or "" for key in columns] for camera in cameras])
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
    started = address is None and not _ray_runs_here()
    with progress() as bar:
        task = bar.add_task("starting Ray" if started else "connecting", total=2)
        if started:
            cluster.start_head(dashboard_port)
        bar.update(task, advance=1, description=f"starting {len(loaded.cameras)} cameras")
        with cluster.connected(address):
            cluster.deploy(loaded)
        bar.update(task, advance=1)
    dashboard = f"; Ray dashboard at http://127.0.0.1:{dashboard_port}" if started else ""
    stdout.print(f"running {len(loaded.cameras)} cameras{dashboard}", markup=False)


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
    keep_ray: Annotated[bool, typer.Option("--keep-ray", help="Leave this machine's Ray running.")] = False,
) -> None:
    """Stop raycctv: the recorders finish their files. Without --address this machine's Ray is stopped too."""
    from actors import cluster

    with cluster.connected(address):
        supervisor = cluster.running()
        if supervisor is not None:
            cluster.undeploy(supervisor, keep_recording=keep_recording)
    if address is None and not keep_ray:
        cluster.stop_head()
    stdout.print("stopped" if supervisor is not None else "raycctv was not running", markup=False)


def _ray_runs_here() -> bool:
    from actors import cluster

    try:
        with cluster.connected(None):
            return True
    except ClusterError:
        return False


def _listed(config: Config) -> list[dict[str, Any]]:
    return [
        {"camera": name, "source": str(camera.source), "recorded": camera.recorded, "objects": ", ".join(camera.objects)}
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
    readers = {name: part for name, part in parts.items() if name.startswith("reader:")}
    columns = ["camera", "state", "frames", "corrupt", "lag_p95_s", "candidates", "dropped", "events", "error"]
    rows = []
    for name, part in readers.items():
        values = {**part, "camera": name.removeprefix("reader:")}
        rows.append([_cell(values.get(column)) for column in columns])
    print_table("cameras", columns, rows)
    recorders = parts.get("storage", {}).get("recorders", {})
    if recorders:
        columns = ["camera", "recording", "pid", "starts", "last_error"]
        print_table("recorders", columns, [[name, *(_cell(r.get(c)) for c in columns[1:])] for name, r in recorders.items()])
    others = [(name, part) for name, part in parts.items() if name not in readers]
    print_table("other actors", ["actor", "status"], [[name, _summary(part)] for name, part in others])


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{key} {count}" for key, count in value.items()) or "-"
    return "-" if value in (None, "") else value


def _summary(part: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_cell(value)}" for key, value in part.items() if not isinstance(value, dict) and key != "pid")
