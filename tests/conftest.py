"""Fixtures that every test may use."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_logged_errors(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """A test in which raycctv logs an error fails, unless it is marked ``logs_errors``: errors are for operators."""
    yield
    if request.node.get_closest_marker("logs_errors"):
        return
    errors = [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR and r.name.startswith(("raycctv", "actors"))]
    assert not errors, [record.getMessage() for record in errors]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real footage with truth, beside the repository; tests that need it are skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder}")
    return folder
