"""The pictures of docs/console.md, which `make screenshots` makes."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
LARGEST_BYTES = 200_000


def test_document_shows_every_picture_that_is_there() -> None:
    shown = set(re.findall(r"images/(console-[\w-]+\.webp)", (DOCS / "console.md").read_text()))
    there = {path.name for path in (DOCS / "images").glob("console-*")}
    assert len(shown) >= 12
    assert shown == there


def test_pictures_are_small() -> None:
    assert all(path.stat().st_size < LARGEST_BYTES for path in (DOCS / "images").glob("console-*"))
