"""The search language: what is understood, and what is said of the rest."""

import pytest
from support import event

from raycctv.search import And, Compare, Is, Not, Or, Query, QueryError, Words, parse, words
from raycctv.types import HEALTH_KINDS

PERSON, CAR = Words(("person",)), Words(("car",))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("person", PERSON),
        ("  Person ", PERSON),
        ("person car", And((PERSON, CAR))),
        ("person AND zone:gate", And((PERSON, Is("zone", "gate")))),
        ("person OR car zone:gate", Or((PERSON, And((CAR, Is("zone", "gate")))))),
        ("(person OR car) zone:gate", And((Or((PERSON, CAR)), Is("zone", "gate")))),
        ("NOT person car", And((Not(PERSON), CAR))),
        ("NOT NOT person", Not(Not(PERSON))),
        ('"left the Picture"', Words(("left", "the", "picture"))),
        ('"left the pi"*', Words(("left", "the", "pi"), prefix=True)),
        ("camera-2", Words(("camera", "2"))),
        ("pers*", Words(("pers",), prefix=True)),
        ("camera:Gate*", Is("camera", "Gate", prefix=True)),
        ("kind:car", Is("kind", "car")),
        ("kind:health", Or(tuple(Is("kind", kind) for kind in sorted(HEALTH_KINDS)))),
        ("kind:object", Not(Or(tuple(Is("kind", kind) for kind in (*sorted(HEALTH_KINDS), "motion"))))),
        ("kind:health*", Is("kind", "health", prefix=True)),
        ('label:"cell phone"', Is("label", "cell phone")),
        ("score>=0.8", Compare("score", ">=", 0.8)),
        ("score<1", Compare("score", "<", 1.0)),
        ("score:0.5", And((Compare("score", ">=", 0.5), Compare("score", "<=", 0.5)))),
    ],
)
def test_query_is_understood(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "words_of_error"),
    [
        ("", "missing at the end"),
        ("person AND", "missing at the end"),
        ("OR person", "before 'OR'"),
        ("(person", "bracket is not closed"),
        ("person)", r"'\)' stands where the query should end"),
        ('"person', "has no end"),
        ("colour:red", "fields are camera:, kind:"),
        ("camera>gate", "fields are camera:"),
        ("score>high", "'high' is no number"),
        ("zone:", "write a value after zone:"),
        ("camera:*", "write a value after camera:"),
        ("label:per*", "a whole one"),
        ("---", "holds no word"),
    ],
)
def test_query_that_is_none_is_explained(text: str, words_of_error: str) -> None:
    with pytest.raises(QueryError, match=words_of_error):
        parse(text)


def test_words_of_an_event_are_those_of_every_text_in_it() -> None:
    assert words(event()) == "gate person door person a test"
