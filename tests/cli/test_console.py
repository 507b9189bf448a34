"""``raycctv console password``: the way back in."""

import subprocess
import sys
from pathlib import Path

import pytest

from raycctv.clock import SystemClock
from raycctv.console.accounts import Accounts
from raycctv.console.database import DATABASE_NAME

RAYCCTV = Path(sys.executable).with_name("raycctv")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "cameras.yaml"
    path.write_text("cameras: {gate: {source: 'rtsp://h/s'}}\nrecording: {root: footage}\nconsole: {}\n")
    return path


def run(config: Path, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    command = [str(RAYCCTV), "console", "password", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, input=typed, check=False)


def made(config: Path) -> Accounts:
    accounts = Accounts.open(config.parent / "footage" / DATABASE_NAME, SystemClock())
    accounts.add("admin", "administrator", None, "forgotten long ago")
    return accounts


def test_password_is_made_anew_while_the_console_runs(config: Path) -> None:
    accounts = made(config)
    done = run(config, "admin")
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[:6] == ["log", "in", "as", "admin", "with", "the"]
    assert accounts.verified("admin", words[-1]) is not None
    assert accounts.verified("admin", "forgotten long ago") is None
    accounts.close()


def test_password_is_read_and_never_repeated(config: Path) -> None:
    accounts = made(config)
    done = run(config, "admin", "--stdin", typed="a password of mine\n")
    assert (done.returncode, done.stdout) == (0, "admin has another password\n")
    assert accounts.verified("admin", "a password of mine") is not None
    short = run(config, "admin", "--stdin", typed="short\n")
    assert (short.returncode, short.stderr.count("10 to 256 characters")) == (1, 1)
    accounts.close()


def test_account_that_does_not_exist_is_an_error_that_names_those_that_do(config: Path) -> None:
    made(config).close()
    done = run(config, "nobody")
    assert (done.returncode, done.stderr) == (1, "error: there is no account 'nobody'; there are: admin\n")


def test_where_no_console_ever_ran_nothing_is_made(config: Path) -> None:
    done = run(config, "admin")
    assert done.returncode == 2
    assert "there are no accounts yet" in done.stderr
    assert not (config.parent / "footage").exists()
