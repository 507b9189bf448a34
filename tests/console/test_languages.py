"""Every message in every language."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from fastapi.testclient import TestClient

from raycctv.console import languages, words
from raycctv.console.accounts import ROLES
from raycctv.console.languages import LANGUAGES, catalog, chosen, script_messages, translations
from raycctv.detection.labels import LABELS
from raycctv.types import HEALTH_KINDS

CONSOLE = Path(languages.__file__).parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2"), ("static/**.js", "javascript")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false"}, "static/**.js": {"parse_template_string": "true"}}
KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
OTHERS = sorted(set(LANGUAGES) - {"en"})
PLACE = re.compile(r"\{(\w+)\}|%\((\w+)\)s")


@pytest.fixture(scope="module")
def said() -> set[str]:
    """What templates and scripts say, in English."""
    found = extract_from_dir(CONSOLE, METHODS, OPTIONS, KEYWORDS)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def untranslated(messages: Catalog, said: set[str]) -> set[str]:
    return {text for text in said if (message := messages.get(text)) is None or not message.string or message.fuzzy}


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated(language: str, said: set[str]) -> None:
    assert len(said) > 100
    assert not untranslated(catalog(language), said), "run `make messages` and translate what is new"


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_translated_that_nobody_says(language: str, said: set[str]) -> None:
    messages = catalog(language)
    assert not {str(message.id) for message in messages if message.id} - said, "run `make messages`"
    assert not messages.obsolete


@pytest.mark.parametrize("language", OTHERS)
def test_translation_fills_in_the_same_values(language: str) -> None:
    for message in catalog(language):
        assert sorted(PLACE.findall(str(message.id))) == sorted(PLACE.findall(str(message.string))), message.id


def test_untranslated_message_is_found() -> None:
    messages = Catalog(locale="id")
    messages.add("known", "dikenal")
    messages.add("guessed", "tebakan", flags=["fuzzy"])
    messages.add("empty", "")
    assert untranslated(messages, {"known", "guessed", "empty", "new"}) == {"guessed", "empty", "new"}


@pytest.mark.parametrize(
    ("cookie", "header", "language"),
    [
        (None, None, "en"),
        (None, "id-ID,id;q=0.9,en-US;q=0.8", "id"),
        (None, "en-US,en;q=0.9,id;q=0.8", "en"),
        (None, "fr;q=0.9, in;q=0.5, en;q=0.2", "id"),
        (None, "fr, de", "en"),
        (None, "id;q=0, en", "en"),
        (None, ";;q=x,,*", "en"),
        ("id", "en", "id"),
        ("en", "id", "en"),
        ("../../etc", "id", "id"),
    ],
)
def test_language_is_chosen_by_the_page_then_by_the_browser(cookie: str | None, header: str | None, language: str) -> None:
    assert chosen(cookie, header) == language


def test_pages_speak_the_language_that_was_chosen(client: TestClient) -> None:
    english = client.get("/system")
    assert '<html lang="en">' in english.text
    client.cookies.set("raycctv_language", "id")
    page = client.get("/system").text
    assert '<html lang="id">' in page
    assert "Kamera" in page
    assert client.get("/system", headers={"accept-language": "en"}).text == page


def test_scripts_get_their_messages_and_no_others() -> None:
    assert script_messages("en") == {}
    messages = script_messages("id")
    assert messages["There are changes that are not saved."] == translations("id").gettext(
        "There are changes that are not saved."
    )
    assert "Log out" not in messages


def test_every_act_of_the_audit_log_has_a_word() -> None:
    written = "".join(path.read_text() for path in CONSOLE.rglob("*.py"))
    acts = set(re.findall(r'audit\(\s*request,\s*"([^"]+)"', written)) | set(re.findall(r'\.note\([^"\n]*"([^"]+)"', written))
    assert len(acts) > 10
    assert acts <= set(words.ACTS)


def test_every_label_and_kind_and_role_has_a_word() -> None:
    assert set(words.LABELS) == set(LABELS.values())
    assert {kind.replace("_", " ") for kind in HEALTH_KINDS} | {"motion"} == set(words.KINDS)
    assert set(words.ROLES) == set(ROLES)
