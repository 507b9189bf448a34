import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycctv.detection.regions import cut, plan_regions
from raycctv.types import CROP_SIZE_PX, Boxes, CameraName, Frame, Rgb, ToRgb

WIDTH, HEIGHT = 1280, 720


@st.composite
def moving(draw: st.DrawFn) -> Boxes:
    rows = []
    for _ in range(draw(st.integers(0, 30))):
        left, top = draw(st.integers(0, WIDTH - 2)), draw(st.integers(0, HEIGHT - 2))
        rows.append([left, top, draw(st.integers(left + 1, WIDTH)), draw(st.integers(top + 1, HEIGHT))])
    return np.array(rows, np.float32).reshape(-1, 4)


@given(moving(), st.integers(1, 6))
def test_plan_regions_covers_what_moves_with_few_squares(boxes: Boxes, limit: int) -> None:
    squares = plan_regions(boxes, WIDTH, HEIGHT, limit)
    assert len(squares) <= limit
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for x0, y0, x1, y1 in boxes[np.argsort(-areas, kind="stable")[:24]]:
        assert any(s.left <= x0 and s.top <= y0 and s.left + s.side >= x1 and s.top + s.side >= y1 for s in squares)


@given(moving())
def test_plan_regions_stays_inside_the_picture_where_it_fits(boxes: Boxes) -> None:
    for square in plan_regions(boxes, WIDTH, HEIGHT, 4):
        assert square.side <= WIDTH
        assert 0 <= square.left <= WIDTH - square.side
        if square.side <= HEIGHT:
            assert 0 <= square.top <= HEIGHT - square.side


def test_plan_regions_shows_a_small_object_large() -> None:
    (square,) = plan_regions(np.array([[600, 300, 620, 340]], np.float32), WIDTH, HEIGHT, 4)
    assert square.side == 160


def test_plan_regions_joins_neighbours_and_leaves_strangers() -> None:
    boxes = np.array([[100, 100, 160, 220], [170, 100, 230, 220], [900, 500, 960, 620]], np.float32)
    assert len(plan_regions(boxes, WIDTH, HEIGHT, 4)) == 2


def part_of(rgb: Rgb) -> ToRgb:
    def to_rgb(part: tuple[int, int, int, int] | None = None, least_px: int | None = None) -> Rgb:
        return rgb if part is None else rgb[part[1] : part[3], part[0] : part[2]]

    return to_rgb


def test_cut_shows_what_is_there_and_knows_the_way_back() -> None:
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[300:340, 600:620] = 255
    frame = Frame(CameraName("a"), 7, 1, 0.0, rgb[..., 0], part_of(rgb))
    boxes = np.array([[600, 300, 620, 340]], np.float32)
    (candidate,) = cut(frame, plan_regions(boxes, WIDTH, HEIGHT, 4))
    assert candidate.image.shape == (CROP_SIZE_PX, CROP_SIZE_PX, 3)
    assert (candidate.seq, candidate.captured_at_ns) == (7, 1)
    rows, columns = np.nonzero(candidate.image[..., 0] > 127)
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    assert candidate.transform.to_source(seen)[0] == pytest.approx(boxes[0], abs=1.5)


def test_cut_pads_a_square_that_hangs_over_the_picture() -> None:
    rgb = np.full((100, 400, 3), 255, np.uint8)
    frame = Frame(CameraName("a"), 0, 0, 0.0, rgb[..., 0], part_of(rgb))
    (square,) = plan_regions(np.array([[0, 0, 400, 100]], np.float32), 400, 100, 1)
    (candidate,) = cut(frame, [square])
    assert (candidate.image[:100] == 128).all()
    assert (candidate.image[120:180] == 255).all()
