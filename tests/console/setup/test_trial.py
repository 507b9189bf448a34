"""Trials of settings, in the process that runs them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import psutil
import pytest
from support import NS, T0_NS, segment, until

from raycctv.config import CameraMotion, Config, Recording, parse
from raycctv.console.setup.settings import Settings
from raycctv.console.setup.trial import Trial, TrialRefused, Trials, stretches
from raycctv.console.setup.worker import Remembering
from raycctv.types import CameraName, Detections, Segment

GATE, YARD = CameraName("gate"), CameraName("yard")
EVERYWHERE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
OLD = Settings()
BLIND = Settings(masks={"all": EVERYWHERE})


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = parse("cameras: {gate: {source: 'rtsp://a/b'}, yard: {source: 'rtsp://a/c'}}")
    return made.model_copy(update={"recording": Recording(root=tmp_path / "recordings")})


@pytest.fixture
def footage(config: Config, clip: Path) -> list[Segment]:
    """The walker's 10 s, in two segments that follow each other."""
    folder = config.recording.root / "gate"
    folder.mkdir(parents=True)
    cut = ["ffmpeg", "-loglevel", "error", "-i", str(clip), "-c", "copy", "-f", "segment", "-segment_time", "5"]
    subprocess.run([*cut, "-reset_timestamps", "1", str(folder / "%d.mp4")], check=True)
    return [segment(start_s=5 * i, duration_s=5, path=f"gate/{i}.mp4") for i in range(2)]


@pytest.fixture
def trials() -> Iterator[Trials]:
    made = Trials()
    yield made
    made.close()


def ended(trial: Trial, timeout_s: float = 60) -> str:
    until(lambda: trial.progress.state != "running", timeout_s)
    return trial.progress.state


def test_trial_says_what_goes_when_all_is_masked(trials: Trials, config: Config, footage: list[Segment], weights: Path) -> None:
    trial = trials.start(GATE, config, OLD, BLIND, footage)
    assert ended(trial) == "done", trial.progress
    assert (trial.progress.tried_s, trial.progress.footage_s) == (10, 10)
    (gone,) = trial.difference.go
    assert not trial.difference.come
    assert not trial.difference.stay
    assert gone.kind == "motion"
    assert (gone.started_at_ns - T0_NS) / NS == pytest.approx(2, abs=0.5)
    assert gone.snapshot is not None
    picture = cv2.imread(str(trial.folder / gone.snapshot))
    assert picture is not None
    assert picture.shape == (360, 640, 3)


def test_trial_of_thresholds_lets_events_come_and_stay(
    trials: Trials, config: Config, footage: list[Segment], weights: Path
) -> None:
    deaf = Settings(motion=CameraMotion(min_area=0.5))
    come = trials.start(GATE, config, deaf, OLD, footage)
    assert ended(come) == "done", come.progress
    assert [event.kind for event in come.difference.come] == ["motion"]
    stay = trials.start(GATE, config, OLD, OLD, footage)
    assert ended(stay) == "done", stay.progress
    ((old, new),) = stay.difference.stay
    assert (old.started_at_ns, old.ended_at_ns) == (new.started_at_ns, new.ended_at_ns)
    assert not come.folder.exists()


def test_trial_that_runs_out_of_time_says_so(config: Config, footage: list[Segment], weights: Path, tmp_path: Path) -> None:
    trial = Trial(GATE, config, OLD, BLIND, footage, tmp_path, budget_s=0)
    assert ended(trial) == "out of time"
    assert trial.progress.tried_s == 0


def test_trial_without_weights_says_what_installs_them(
    config: Config, footage: list[Segment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    trial = Trial(GATE, config, OLD, BLIND, footage, tmp_path)
    assert ended(trial) == "failed"
    assert "raycctv models install" in str(trial.progress.error)


def test_trial_goes_on_where_a_segment_has_been_deleted(
    trials: Trials, config: Config, footage: list[Segment], weights: Path
) -> None:
    gone = segment(start_s=1000, path="gate/gone.mp4")
    trial = trials.start(GATE, config, OLD, BLIND, [*footage, gone])
    assert ended(trial) == "done"
    assert len(trial.difference.go) == 1


def test_trial_is_cancelled_and_runs_last_of_all(trials: Trials, config: Config, footage: list[Segment]) -> None:
    trial = trials.start(GATE, config, OLD, BLIND, footage)
    process = psutil.Process(trial._worker.pid)
    until(lambda: process.nice() == 19, 20)
    with pytest.raises(TrialRefused, match="settings of gate are being tried"):
        trials.start(YARD, config, OLD, BLIND, footage)
    trial.cancel()
    assert not process.is_running()
    assert ended(trial, 5) == "cancelled"
    assert trials.find(GATE, trial.id) is trial
    assert trials.find(YARD, trial.id) is None


def test_worker_ends_with_whoever_started_it(trials: Trials, config: Config, footage: list[Segment]) -> None:
    trial = trials.start(GATE, config, OLD, BLIND, footage * 1000)
    process = psutil.Process(trial._worker.pid)
    until(lambda: process.nice() == 19, 20)
    assert trial._worker.stdin is not None
    trial._worker.stdin.close()
    until(lambda: trial.progress.state != "running", 20)
    assert not process.is_running()


def test_worker_that_is_killed_is_a_trial_that_failed(trials: Trials, config: Config, footage: list[Segment]) -> None:
    trial = trials.start(GATE, config, OLD, BLIND, footage)
    os.kill(trial._worker.pid, 9)
    assert ended(trial, 10) == "failed"
    assert trial.progress.error == "the analysis ended by itself (exit code -9)"


def test_trial_without_footage_is_refused(trials: Trials, config: Config) -> None:
    with pytest.raises(TrialRefused, match="no footage of gate"):
        trials.start(GATE, config, OLD, BLIND, [])


def test_stretches_are_newest_first_and_cut_at_gaps() -> None:
    pieces = [segment(start_s=40 * i, duration_s=40) for i in range(5)]
    assert stretches(pieces) == [[pieces[4]], pieces[2:4], pieces[:2]]
    late = segment(start_s=42, duration_s=10)
    assert stretches([pieces[0], late]) == [[late], [pieces[0]]]
    assert stretches([]) == []


def test_remembering_asks_about_a_crop_once() -> None:
    class Counting:
        def infer(self, images: npt.NDArray[np.uint8]) -> list[Detections]:
            return [Detections.empty()] * len(images)

    crops = np.zeros((3, 300, 300, 3), np.uint8)
    crops[2] = 1
    detector = Remembering(Counting())
    assert len(detector.infer(crops)) == 3
    assert len(detector.infer(crops[1:])) == 2
    assert detector.asked == 3
