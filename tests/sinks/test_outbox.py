"""The outbox: on disk, in order, nothing twice."""

from pathlib import Path

import pytest

from raycctv.errors import RecordingError
from raycctv.sinks.outbox import Outbox


def put(outbox: Outbox, *keys: str, target: str = "a") -> None:
    outbox.put([(target, key, f"body of {key}") for key in keys], now_ns=7)


def test_letters_wait_in_order_over_a_restart(tmp_path: Path) -> None:
    with Outbox(tmp_path / "log") as outbox:
        put(outbox, "x", "y")
        put(outbox, "z")
        put(outbox, "x", target="b")
    with Outbox(tmp_path / "log") as outbox:
        assert [(letter.key, letter.body) for letter in outbox.waiting("a", 2)] == [("x", "body of x"), ("y", "body of y")]
        assert (outbox.depth("a"), outbox.depth("b"), outbox.oldest_ns("a"), outbox.oldest_ns("c")) == (3, 1, 7, None)


def test_letter_that_is_owed_already_is_not_doubled(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        put(outbox, "x", "y", "x")
        put(outbox, "y")
        assert [letter.key for letter in outbox.waiting("a", 9)] == ["x", "y"]


def test_delivered_and_refused_letters_wait_no_more_and_the_refused_are_kept(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        put(outbox, "x", "y", "z")
        x, y, _ = outbox.waiting("a", 9)
        outbox.delivered([x])
        outbox.refuse({y.seq: "no such field"})
        assert [letter.key for letter in outbox.waiting("a", 9)] == ["z"]
        assert (outbox.depth("a"), outbox.refused("a")) == (1, 1)


def test_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(RecordingError, match=r"logs\.dir: /proc/nowhere cannot be written"):
        Outbox(Path("/proc/nowhere"))


@pytest.mark.logs_errors
def test_damaged_file_is_put_aside_so_that_events_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    damage = b"no database, but long enough to be taken for one" * 100
    (tmp_path / "outbox.sqlite3").write_bytes(damage)
    with Outbox(tmp_path) as outbox:
        put(outbox, "x")
        assert outbox.depth("a") == 1
    assert (tmp_path / "outbox.sqlite3.damaged").read_bytes() == damage
    assert "is damaged and put aside" in caplog.text


def test_nothing_of_a_put_that_fails_is_kept(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        with pytest.raises(RecordingError):
            outbox.put([("a", "x", "body"), ("a", "y", None)], now_ns=7)  # type: ignore[list-item]
        assert outbox.waiting("a", 9) == []
