"""Replacing the configuration file."""

import os
from pathlib import Path

import pytest

from raycctv.console.setup import file
from raycctv.console.setup.file import FileChanged
from raycctv.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "cameras.yaml"
    path.parent.mkdir()
    path.write_bytes(b"a: 1\r\n")
    path.chmod(0o640)
    return path


def test_replace_keeps_mode_and_leaves_no_draft(path: Path) -> None:
    version = file.read(path)
    assert version.text == "a: 1\r\n"
    after = file.replace(path, "a: 2 # é\n", version.digest)
    assert path.read_bytes() == "a: 2 # é\n".encode()
    assert after == file.read(path)
    assert path.stat().st_mode & 0o7777 == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_replace_keeps_the_owner(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root may give files away")
    os.chown(path, 12345, 54321)
    file.replace(path, "a: 2\n", file.read(path).digest)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_replace_through_a_link_replaces_what_it_points_to(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    file.replace(link, "a: 2\n", file.read(link).digest)
    assert link.is_symlink()
    assert path.read_text() == "a: 2\n"


def test_replace_of_a_file_that_somebody_changed_is_refused(path: Path) -> None:
    version = file.read(path)
    path.write_text("a: 3\n")
    with pytest.raises(FileChanged, match="has been changed meanwhile"):
        file.replace(path, "a: 2\n", version.digest)
    assert path.read_text() == "a: 3\n"


def test_replace_on_a_full_disk_leaves_the_file_as_it_was(small_disk: Path) -> None:
    path = small_disk / "cameras.yaml"
    path.write_text("a: 1\n")
    with pytest.raises(ConfigError, match="cannot be written: No space left"):
        file.replace(path, "a: 2\n" + "#" * 10_000_000, file.read(path).digest)
    assert path.read_text() == "a: 1\n"
    assert list(small_disk.iterdir()) == [path]


def test_hindrance_says_why_a_file_cannot_be_changed(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.hindrance(path) is None
    assert "not known here" in str(file.hindrance(None))
    assert "is not on the machine" in str(file.hindrance(tmp_path / "none.yaml"))
    copy = tmp_path / "working_dir_files" / "cameras.yaml"
    copy.parent.mkdir()
    copy.write_text("")
    assert "Ray's copy" in str(file.hindrance(copy))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    assert "cannot be written by the user" in str(file.hindrance(path))
    with pytest.raises(ConfigError, match="cannot be written by the user"):
        file.replace(path, "", file.read(path).digest)


def test_read_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        file.read(tmp_path / "none.yaml")


def test_difference_shows_what_changes_and_no_password() -> None:
    before = "a: 1\nsource: rtsp://admin:secret@cam/1\nb: 1\nc: 1\nd: 1\n"
    assert file.difference(before, before.replace("b: 1", "b: 2")) == (
        "@@ -1,5 +1,5 @@\n a: 1\n source: rtsp://admin:***@cam/1\n-b: 1\n+b: 2\n c: 1\n d: 1"
    )
    assert file.difference(before, before) == ""


def test_environment_of_a_text_has_all_its_variables() -> None:
    assert file.environment_of("a: ${A}\nb: x${B_1}y", {"A": "1", "C": "2"}) == {"A": "1", "B_1": "unset"}
