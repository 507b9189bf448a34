"""``raycctv detect``: what MobileNet sees on pictures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, progress, stderr


def detect(
    images: Annotated[list[Path], typer.Argument(help="Pictures, of any kind that OpenCV reads.")],
    model: Annotated[str, typer.Option(help="The network; see `raycctv models list`.")] = "ssdlite_mobilenet_v2",
    backend: Annotated[str, typer.Option(help="auto, openvino or torch.")] = "auto",
    min_score: Annotated[float, typer.Option(min=0.01, max=1, help="Leave out what scores less.")] = 0.4,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the pictures with boxes drawn.")] = None,
    json: Json = False,
) -> None:
    """Find objects on IMAGES. Exits 1 where a picture cannot be read; the others are looked at all the same."""
    from raycctv.detection.backends import open_backend

    failed = False
    with open_backend(model, backend, threads=2, min_score=min_score) as network, progress() as bar:
        for path in bar.track(images, description="detecting"):
            row = _detected(path, network, out)
            failed |= "error" in row
            if json:
                print_json(row)
            elif "error" in row:
                stderr.print(f"error: {row['error']}", style="red", markup=False)
            else:
                _print(row)
    if failed:
        raise typer.Exit(1)


def _detected(path: Path, network: Any, out: Path | None) -> dict[str, Any]:
    import cv2
    import numpy as np

    from raycctv.detection.boxes import letterbox
    from raycctv.detection.labels import LABELS

    data = np.fromfile(path, np.uint8) if path.is_file() else np.zeros(0, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        return {"image": str(path), "error": f"{path}: {'is no picture' if path.is_file() else 'there is no such file'}"}
    square, transform = letterbox(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), network.input_size_px)
    found = network.infer(square[None])[0]
    height, width = picture.shape[:2]
    boxes = np.clip(transform.to_source(found.xyxy), 0, [width, height, width, height])
    detections = [
        {
            "label": LABELS[int(class_id)],
            "score": round(float(score), 4),
            "box": [round(float(value), 1) for value in box],
        }
        for class_id, score, box in zip(found.class_id, found.score, boxes, strict=True)
    ]
    if out is not None:
        _draw(picture, detections, out / f"{path.stem}.jpg")
    return {"image": str(path), "width": width, "height": height, "detections": detections}


def _draw(picture: Any, detections: list[dict[str, Any]], file: Path) -> None:
    import cv2

    file.parent.mkdir(parents=True, exist_ok=True)
    for detection in detections:
        x0, y0, x1, y1 = (round(value) for value in detection["box"])
        cv2.rectangle(picture, (x0, y0), (x1, y1), (40, 220, 255), 2)
        caption = f"{detection['label']} {detection['score']:.2f}"
        cv2.putText(picture, caption, (x0 + 3, max(15, y0 - 5)), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (40, 220, 255), 2, cv2.LINE_AA)
    cv2.imwrite(str(file), picture)


def _print(row: dict[str, Any]) -> None:
    rows = [
        [found["label"], f"{found['score']:.2f}", *(f"{value:.0f}" for value in found["box"])] for found in row["detections"]
    ]
    title = f"{row['image']}: {row['width']} x {row['height']}, {len(rows)} found"
    print_table(title, ["label", "score", "left", "top", "right", "bottom"], rows)
