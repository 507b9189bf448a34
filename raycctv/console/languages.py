"""Messages in the reader's language.

English stands in the templates and scripts themselves. Another language is ``po/<code>/LC_MESSAGES/console.po``, which is
compiled in memory when it is first asked for: there is no file that could be older than its source. ``make messages`` brings
what templates and scripts say into it; ``tests/console/test_languages.py`` finds what nobody has translated.
"""

import io
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}
"""Code: what the language calls itself."""

_ENGLISH = "en"
_FOR_SCRIPTS = (".js", "words.py")
_FOLDER = Path(__file__).parent / "po"


def chosen(cookie: str | None, accept_language: str | None) -> str:
    """The language of an answer: what was chosen on a page, else what the browser prefers, else English."""
    if cookie in LANGUAGES:
        return str(cookie)
    return negotiate_locale(_preferred(accept_language or ""), list(LANGUAGES), sep="-") or _ENGLISH


def _preferred(accept_language: str) -> list[str]:
    """Languages of the header, most wanted first. Browsers still call Indonesian `in` here and there."""
    weighed = []
    for entry in accept_language.split(",")[:20]:
        code, _, parameters = entry.strip().partition(";")
        weight = parameters.strip().removeprefix("q=") or "1"
        if code and weight.replace(".", "", 1).isdecimal():
            weighed.append((float(weight), "id" if code == "in" else code))
    return [code for weight, code in sorted(weighed, key=lambda pair: -pair[0]) if weight > 0]


def catalog(language: str) -> Catalog:
    """What ``po/`` has of a language other than English."""
    with (_FOLDER / language / "LC_MESSAGES" / "console.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def translations(language: str) -> NullTranslations:
    """The messages of a language, for gettext; those of English are as they stand."""
    if language == _ENGLISH:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalog(language))
    compiled.seek(0)
    return GNUTranslations(compiled)


@cache
def script_messages(language: str) -> dict[str, str]:
    """Messages that scripts show, English: translated; words for what events are of among them."""
    if language == _ENGLISH:
        return {}
    return {
        str(message.id): str(message.string)
        for message in catalog(language)
        if isinstance(message.id, str)
        and message.string
        and any(place.endswith(_FOR_SCRIPTS) for place, _ in message.locations)
    }


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Marks a message that a template translates when it shows it."""
    return text
