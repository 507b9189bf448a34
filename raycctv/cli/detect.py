"""``raycctv detect``: what MobileNet sees on pictures."""

from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, progress, stderr
from raycctv.errors import DetectorError, RaycctvError

_COLOUR_BGR = (40, 220, 255)


def detect(
    images: Annotated[list[Path], typer.Argument(help="Pictures, of any kind that OpenCV reads.")],
    model: Annotated[str, typer.Option(help="The network; see `raycctv models list`.")] = "ssdlite_mobilenet_v2",
    backend: Annotated[str, typer.Option(help="auto, openvino or torch.")] = "auto",
    min_score: Annotated[float, typer.Option(min=0.01, max=1, help="Leave out what scores less.")] = 0.4,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for copies of the pictures with boxes drawn.")] = None,
    json: Json = False,
) -> None:
    """Find objects on IMAGES. Exits 1 where a picture cannot be read; the others are looked at all the same."""
    from raycctv.detection.backends import open_backend

    copies = _copies(out, images) if out is not None else []
    failed = False
    with open_backend(model, backend, threads=2, min_score=min_score) as network, progress() as bar:
        for index, path in enumerate(bar.track(images, description="detecting")):
            try:
                picture = _read(path)
                row = {"image": str(path), **_seen(picture, network)}
                print_json(row) if json else _print(row)
                if copies:
                    _draw(picture, row["detections"], copies[index])
            except RaycctvError as error:
                failed = True
                stderr.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _copies(out: Path, images: list[Path]) -> list[Path]:
    """A file in ``out`` for each picture; never one of the pictures themselves, nor one file for two of them."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be made: {error.strerror}", param_hint="--out") from error
    taken = {image.resolve() for image in images}
    copies = []
    for image in images:
        names = (f"{image.stem}_detected{suffix}.jpg" for suffix in chain([""], (f"_{n}" for n in count(2))))
        copies.append(next(out / name for name in names if (out / name).resolve() not in taken))
        taken.add(copies[-1].resolve())
    return copies


def _read(path: Path) -> Any:
    """The picture as uint8 (H, W, 3) BGR, turned as its EXIF data say.

    Raises:
        DetectorError: there is none, or OpenCV does not read it.
    """
    import cv2
    import numpy as np

    try:
        data = path.read_bytes()
    except OSError as error:
        raise DetectorError(f"{path} cannot be read: {error.strerror}") from error
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:
        raise DetectorError(f"{path} is no picture that OpenCV reads: {error.err}") from error
    if picture is None:
        raise DetectorError(f"{path} is no picture that OpenCV reads, or is cut short")
    return picture


def _seen(picture: Any, network: Any) -> dict[str, Any]:
    import cv2
    import numpy as np

    from raycctv.detection.boxes import letterbox
    from raycctv.detection.labels import LABELS

    height, width = picture.shape[:2]
    square, transform = letterbox(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), network.input_size_px)
    found = network.infer(square[None])[0]
    boxes = np.clip(transform.to_source(found.xyxy), 0, [width, height, width, height])
    detections = [
        {"label": LABELS[int(class_id)], "score": round(float(score), 4), "box": [round(float(value), 1) for value in box]}
        for class_id, score, box in zip(found.class_id, found.score, boxes, strict=True)
        if box[2] > box[0] and box[3] > box[1]  # else it lies in the padding
    ]
    return {"width": width, "height": height, "detections": detections}


def _draw(picture: Any, detections: list[dict[str, Any]], file: Path) -> None:
    import cv2

    for detection in detections:
        x0, y0, x1, y1 = (round(value) for value in detection["box"])
        cv2.rectangle(picture, (x0, y0), (x1, y1), _COLOUR_BGR, 2)
        caption = f"{detection['label']} {detection['score']:.2f}"
        cv2.putText(picture, caption, (x0 + 3, max(15, y0 - 5)), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _COLOUR_BGR, 2, cv2.LINE_AA)
    try:
        file.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    except OSError as error:
        raise RaycctvError(f"{file} cannot be written: {error.strerror}") from error
    except cv2.error as error:
        raise RaycctvError(f"{file} cannot be written: {error.err}") from error


def _print(row: dict[str, Any]) -> None:
    rows = [
        [found["label"], f"{found['score']:.2f}", *(f"{value:.0f}" for value in found["box"])] for found in row["detections"]
    ]
    title = f"{row['image']}: {row['width']} x {row['height']}, {len(rows)} found"
    print_table(title, ["label", "score", "left", "top", "right", "bottom"], rows)
