"""Trials that do not come up."""

from pathlib import Path

import psutil
import pytest
import ray

from actors import cluster
from actors.trial import Trial, TrialCamera
from raycctv.config import Camera, Config, Logs, Recording, StreamUrl
from raycctv.errors import ClusterError, WeightsMissing
from raycctv.types import CameraName


@pytest.fixture
def long_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Ray cannot start: its sockets would have names that are too long for the kernel."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    return folder


@pytest.mark.usefixtures("long_folder")
def test_ray_that_does_not_start_is_a_cluster_error() -> None:
    with pytest.raises(ClusterError, match=r"^Ray did not start: .*AF_UNIX path"), cluster.private_cluster(cpus=0):
        pass
    assert not ray.is_initialized()


def test_actors_that_do_not_start_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_START_S", 0.01)
    monkeypatch.setattr(cluster, "_START_EACH_S", 0.0)
    wanted = Config(
        cameras={CameraName("gate"): Camera(source=StreamUrl.parse("rtmp://127.0.0.1:1/live/gate"), record=False)},
        recording=Recording(root=tmp_path / "recordings"),
        logs=Logs(dir=tmp_path / "log"),
    )
    told: list[tuple[str, float, float]] = []
    with (
        cluster.private_cluster(cpus=0),
        pytest.raises(ClusterError, match=r"^sink, detector:0, reader:gate had not started after 0.01 s$"),
    ):
        cluster.deploy(wanted, lambda *what: told.append(what))
    assert {(what, total) for what, _, total in told} == {("starting actors", 3)}


def test_trial_that_fails_leaves_no_recorder_behind(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no weights"))
    trial = Trial((TrialCamera(CameraName("gate"), clip),), 5, tmp_path / "trial")
    with pytest.raises(WeightsMissing):
        trial.run(say=lambda _: None, watch=lambda *_: None)
    assert not ray.is_initialized()
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(tmp_path / "trial") in command]
