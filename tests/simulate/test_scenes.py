"""Scenes: what the demo's cameras show."""

from pathlib import Path

import av
import numpy as np
import pytest

from raycctv.simulate import scenes
from raycctv.simulate.footage import FootageMissing, vtest
from raycctv.simulate.scenes import SCENES, SceneError, noisy, prepare


def test_scenes_are_coded_as_cameras_code(pedestrians: Path) -> None:
    """Prepared once for a machine and kept, as for the demo."""
    for name in SCENES:
        with av.open(str(prepare(name))) as container:
            video = container.streams.video[0]
            assert (video.width, video.height, float(video.average_rate or 0)) == (1280, 720, 15)
            keyframes = [i for i, packet in enumerate(container.demux(video)) if packet.is_keyframe and packet.size]
        assert keyframes[:3] == [0, 30, 60]
        assert not video.codec_context.has_b_frames


def test_unknown_scene_is_named() -> None:
    with pytest.raises(SceneError, match="no scene is called 'moon'; known are plaza"):
        prepare("moon")


def test_footage_that_is_missing_or_another_file_says_what_fetches_it(tmp_path: Path) -> None:
    (tmp_path / "vtest.avi").write_bytes(b"another")
    with pytest.raises(FootageMissing, match="`make setup` fetches it"):
        vtest(tmp_path)


def test_broken_preparation_leaves_no_file_behind(pedestrians: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "PEOPLE", {"plaza": scenes.View(crop=(9000, 9000, 0, 0), start_s=0)})
    monkeypatch.setattr(scenes, "SCENES", ("plaza",))
    with pytest.raises(SceneError, match="cannot be made"):
        prepare("plaza", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_noise_is_the_same_at_every_call_and_has_the_strength_it_says() -> None:
    still = np.full((90, 160, 3), 128, np.uint8)
    first, again = list(noisy(still, 2, levels=3.0)), list(noisy(still, 2, levels=3.0))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == first[1]).all()
    assert (first[0].astype(float) - 128).std() == pytest.approx(3.0, rel=0.05)
