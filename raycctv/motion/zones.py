"""Polygons drawn on a camera's picture: masks, where nothing is looked at, and zones, which events refer to.

Corners are shares of the width and the height, 0 to 1 from the left upper corner, so that they hold for the main and the
sub stream alike.
"""

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Polygon = Sequence[tuple[float, float]]


def unmasked(masks: Iterable[Polygon], width_px: int, height_px: int) -> npt.NDArray[np.uint8]:
    """uint8 (H, W): 255 where motion counts, 0 inside any mask."""
    area = np.full((height_px, width_px), 255, np.uint8)
    for polygon in masks:
        corners = np.array(polygon, np.float64) * (width_px, height_px)
        cv2.fillPoly(area, [corners.round().astype(np.int32)], (0,))
    return area


def zones_at(zones: Mapping[str, Polygon], x: float, y: float) -> tuple[str, ...]:
    """Names of the zones that hold the point (shares of width and height), edges included, in the order of ``zones``."""
    return tuple(
        name
        for name, polygon in zones.items()
        if cv2.pointPolygonTest(np.array(polygon, np.float32), (float(x), float(y)), measureDist=False) >= 0
    )
