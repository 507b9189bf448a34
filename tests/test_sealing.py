"""What is sealed is read with the same token alone."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from raycctv.config import Camera, StreamUrl
from raycctv.errors import ClusterError
from raycctv.sealing import SEAL_KEY, Sealed, private_key, protected, seal, unseal

_VARIABLES = (SEAL_KEY, "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write_token(home: Path, token: str) -> Path:
    path = home / ".ray" / "auth_token"
    path.parent.mkdir(exist_ok=True)
    path.write_text(token)
    return path


def test_sealed_value_shows_nothing_and_opens(home: Path) -> None:
    write_token(home, "one\n")
    camera = Camera(source=StreamUrl.parse("rtsp://admin:hunter2@cam1/stream"))
    sealed = Sealed.of(camera)
    assert sealed.open() == camera
    for shown in (pickle.dumps(sealed), repr(sealed).encode(), str(sealed).encode(), sealed.data):
        assert b"hunter2" not in shown
        assert b"cam1" not in shown
    assert Sealed.of(camera).data != sealed.data


def test_another_process_with_the_same_token_opens_it(home: Path) -> None:
    path = write_token(home, "one")
    sealed = seal(b"hunter2")
    code = "import sys; from raycctv.sealing import unseal; sys.stdout.buffer.write(unseal(sys.stdin.buffer.read()))"
    for environment in ({"RAY_AUTH_TOKEN": "one"}, {"RAY_AUTH_TOKEN_PATH": str(path), "HOME": "/"}, {"HOME": str(home)}):
        whole = {**os.environ, **environment}
        done = subprocess.run([sys.executable, "-c", code], input=sealed, capture_output=True, env=whole, check=True)
        assert done.stdout == b"hunter2"


@pytest.mark.parametrize("name", _VARIABLES)
def test_other_secrets_come_before_the_token_in_the_home(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_token(home, "one")
    other = home / "other"
    other.write_text("two")
    sealed = seal(b"hunter2")
    monkeypatch.setenv(name, str(other) if name.endswith("PATH") else "two")
    with pytest.raises(ClusterError, match=r"another token than this node has; every node needs the same ~/\.ray/auth_token"):
        unseal(sealed)
    assert unseal(seal(b"x")) == b"x"


def test_damaged_value_is_an_error_and_never_another_value(home: Path) -> None:
    write_token(home, "one")
    sealed = bytearray(seal(b"hunter2"))
    sealed[-3] ^= 1
    with pytest.raises(ClusterError, match="damaged"):
        unseal(bytes(sealed))


def test_private_keys_differ_and_the_token_is_not_asked(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert not protected()
    assert unseal(seal(b"x")) == b"x"  # a cluster without a token works all the same
    monkeypatch.setenv(SEAL_KEY, private_key())
    assert protected()
    sealed = seal(b"hunter2")
    write_token(home, "made meanwhile")
    assert unseal(sealed) == b"hunter2"
    monkeypatch.setenv(SEAL_KEY, private_key())
    with pytest.raises(ClusterError):
        unseal(sealed)
