import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from raycctv.detection.boxes import area, iou, letterbox, merge, nms
from raycctv.types import Boxes, Detections


@st.composite
def boxes(draw: st.DrawFn, most: int = 12) -> Boxes:
    corners = draw(hnp.arrays(np.float32, (draw(st.integers(0, most)), 4), elements=st.integers(0, 100).map(float)))
    corners[:, 2:] = corners[:, :2] + np.maximum(corners[:, 2:], 1)
    return corners


@st.composite
def detections(draw: st.DrawFn) -> Detections:
    xyxy = draw(boxes())
    n = len(xyxy)
    score = draw(hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32)))
    return Detections(xyxy, score, draw(hnp.arrays(np.int32, n, elements=st.integers(1, 3))))


def people(n: int) -> npt.NDArray[np.int32]:
    return np.ones(n, np.int32)


@given(boxes(), boxes())
def test_iou_is_symmetric_and_a_share(a: Boxes, b: Boxes) -> None:
    overlap = iou(a, b)
    assert overlap.shape == (len(a), len(b))
    assert np.array_equal(overlap, iou(b, a).T)
    assert ((overlap >= 0) & (overlap <= 1)).all()
    assert np.allclose(np.diag(iou(a, a)), 1)


def test_iou_of_a_half_overlap_is_a_third() -> None:
    a = np.array([[0, 0, 10, 10]], np.float32)
    assert iou(a, a + np.array([5, 0, 5, 0], np.float32))[0, 0] == pytest.approx(1 / 3)


@given(detections(), st.floats(0.1, 0.9))
def test_nms_keeps_the_best_of_each_class_and_no_two_that_overlap(found: Detections, threshold: float) -> None:
    kept = nms(found, threshold)
    assert list(kept.score) == sorted(kept.score, reverse=True)
    overlap = iou(kept.xyxy, kept.xyxy) * (kept.class_id[:, None] == kept.class_id[None, :])
    np.fill_diagonal(overlap, 0)
    assert (overlap <= threshold).all()
    for class_id in set(found.class_id.tolist()):
        assert found.score[found.class_id == class_id].max() == kept.score[kept.class_id == class_id].max()


@given(detections())
def test_nms_is_idempotent(found: Detections) -> None:
    once = nms(found, 0.5)
    assert np.array_equal(nms(once, 0.5).xyxy, once.xyxy)


def test_merge_makes_one_of_an_object_that_two_crops_saw() -> None:
    whole = Detections(np.array([[10, 10, 50, 110]], np.float32), np.array([0.9], np.float32), np.array([1], np.int32))
    cut = Detections(np.array([[11, 60, 49, 110]], np.float32), np.array([0.6], np.float32), np.array([1], np.int32))
    bag = Detections(np.array([[12, 60, 40, 100]], np.float32), np.array([0.5], np.float32), np.array([31], np.int32))
    merged = merge([cut, whole, bag])
    assert merged.class_id.tolist() == [1, 31]
    assert merged.xyxy[0].tolist() == [10, 10, 50, 110]


def test_merge_keeps_a_child_in_front_of_its_mother() -> None:
    both = Detections(np.array([[0, 0, 80, 200], [20, 100, 60, 200]], np.float32), np.array([0.9, 0.7], np.float32), people(2))
    assert merge([both]).xyxy.tolist() == both.xyxy.tolist()
    assert merge([both, both]).xyxy.tolist() == both.xyxy.tolist()


@given(detections())
def test_merge_of_one_crop_is_its_suppression(found: Detections) -> None:
    assert merge([found]).xyxy.tolist() == nms(found, 0.5).xyxy.tolist()


@given(detections(), detections())
def test_merge_keeps_the_best_of_each_class_once(a: Detections, b: Detections) -> None:
    merged = merge([a, b])
    assert list(merged.score) == sorted(merged.score, reverse=True)
    assert set(merged.class_id.tolist()) == {*a.class_id.tolist(), *b.class_id.tolist()}


def test_merge_of_nothing_is_empty() -> None:
    assert len(merge([])) == len(merge([Detections.empty()])) == 0


def test_area_of_a_box_that_is_inside_out_is_zero() -> None:
    assert area(np.array([[10, 10, 0, 20]], np.float32)).tolist() == [0]


@given(st.integers(1, 400), st.integers(1, 400), st.integers(32, 320))
def test_letterbox_way_back_leads_to_the_picture(height: int, width: int, size_px: int) -> None:
    square, transform = letterbox(np.full((height, width, 3), 255, np.uint8), size_px)
    assert square.shape == (size_px, size_px, 3)
    rows, columns = np.nonzero((square == 255).all(axis=2))
    inside = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    rounding = max(height, width) / size_px + 1
    assert transform.to_source(inside)[0] == pytest.approx([0, 0, width, height], abs=rounding)
