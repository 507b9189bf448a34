"""Passwords from a file of their own."""

from pathlib import Path

import pytest

from raycctv.config import load
from raycctv.config.secrets import environment, secrets_file
from raycctv.errors import ConfigError
from raycctv.types import CameraName


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = secrets_file()
    path.parent.mkdir()
    path.touch(0o600)
    return path


def test_configuration_takes_passwords_from_the_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("# cameras\n\nGATE_PASSWORD=a=b%23d\nexport YARD_PASSWORD='quoted'\n")
    config = tmp_path / "cameras.yaml"
    config.write_text(
        "cameras:\n  gate: {source: 'rtsp://u:${GATE_PASSWORD}@h/s'}\n  yard: {source: 'rtsp://u:${YARD_PASSWORD}@h/s'}\n"
    )
    sources = {name: camera.source.reveal() for name, camera in load(config).cameras.items()}
    assert sources == {"gate": "rtsp://u:a=b%23d@h/s", "yard": "rtsp://u:quoted@h/s"}
    monkeypatch.setenv("YARD_PASSWORD", "of the environment")
    assert load(config).cameras[CameraName("yard")].source.reveal() == "rtsp://u:of the environment@h/s"


def test_no_file_is_no_error(file: Path) -> None:
    file.unlink()
    assert "PATH" in environment()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.write_text("GATE_PASSWORD=hunter2\n")
    file.chmod(mode)
    with pytest.raises(ConfigError, match="others may read it; chmod 600") as error:
        environment()
    assert "hunter2" not in str(error.value)


def test_line_that_is_none_is_told_by_number_alone(file: Path) -> None:
    file.write_text("GATE_PASSWORD=x\nhunter2\n")
    with pytest.raises(ConfigError, match="line 2: write NAME=value") as error:
        environment()
    assert "hunter2" not in str(error.value)
