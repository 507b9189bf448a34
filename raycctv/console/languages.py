"""Messages in the reader's language."""

import gettext

LANGUAGES = {"en": "English"}
"""Code: what the language calls itself."""


def chosen(cookie: str | None, accept_language: str | None) -> str:  # noqa: ARG001
    """The language of an answer."""
    return cookie if cookie in LANGUAGES else "en"


def translations(language: str) -> gettext.NullTranslations:  # noqa: ARG001
    """The messages of a language."""
    return gettext.NullTranslations()


def script_messages(language: str) -> dict[str, str]:  # noqa: ARG001
    """Those that scripts show."""
    return {}
