from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from raycctv.config import schema

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
SECTIONS = [value for value in vars(schema).values() if isinstance(value, type) and issubclass(value, schema.Section)]


def keys() -> Iterator[tuple[str, str]]:
    for section in SECTIONS:
        model: type[BaseModel] = section
        for key in model.model_fields:
            yield section.__name__, key


@pytest.mark.parametrize(("section", "key"), list(keys()))
def test_configuration_document_explains_every_key(section: str, key: str) -> None:
    assert f"`{key}`" in DOCUMENT.read_text(), f"{section}.{key}"
