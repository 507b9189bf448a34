import numpy as np
import pytest

from raycctv.detection.anchors import Decoder, ssdlite_anchors


def test_ssdlite_anchors_are_those_of_the_tensorflow_graph() -> None:
    anchors = ssdlite_anchors()
    assert anchors.shape == (1917, 4)
    # the first three of the graph's constant, as centre and size: a small square, and two of scale 0.2
    assert anchors[0] == pytest.approx([1 / 38, 1 / 38, 0.1, 0.1], abs=1e-4)
    assert anchors[1, 2:] == pytest.approx([0.1414, 0.2828], abs=1e-4)
    assert anchors[2, 2:] == pytest.approx([0.2828, 0.1414], abs=1e-4)
    assert anchors[-1, 2:] == pytest.approx([np.sqrt(0.95), np.sqrt(0.95)], abs=1e-4)


def test_decoder_turns_an_encoding_into_its_box() -> None:
    decoder = Decoder(np.array([[0.5, 0.5, 0.2, 0.4]], np.float32), min_score=0.5)
    encodings = np.array([[[1.0, 0.0, 0.0, 5 * np.log(0.5)]]], np.float32)
    scores = np.zeros((1, 1, 91), np.float32)
    scores[0, 0, 17] = 0.9
    (found,) = decoder.decode(encodings, scores, size_px=100)
    assert found.class_id.tolist() == [17]
    assert found.xyxy[0] == pytest.approx([40, 42, 60, 62], abs=1e-3)


def test_decoder_leaves_out_boxes_beside_the_picture_and_numbers_that_are_none() -> None:
    decoder = Decoder(np.array([[0.5, 0.5, 0.2, 0.4]] * 3, np.float32), min_score=0.5)
    encodings = np.array([[[100.0, 0, 0, 0], [np.nan, 0, 0, 0], [0, 0, 0, 0]]], np.float32)
    scores = np.zeros((1, 3, 91), np.float32)
    scores[0, :, 1] = 0.9
    (found,) = decoder.decode(encodings, scores, size_px=100)
    assert found.xyxy.tolist() == [pytest.approx([30, 40, 70, 60], abs=1e-3)]


def test_decoder_leaves_out_background_and_low_scores() -> None:
    decoder = Decoder(ssdlite_anchors(), min_score=0.5)
    scores = np.full((1, 1917, 91), 0.49, np.float32)
    scores[..., 0] = 1.0
    (found,) = decoder.decode(np.zeros((1, 1917, 4), np.float32), scores, size_px=300)
    assert len(found) == 0
