"""Sending from the outbox: again until it has arrived, in order, and never in anybody's way."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support import until

from raycctv.errors import SinkError
from raycctv.sinks.delivery import Delivery, Sent
from raycctv.sinks.outbox import Letter, Outbox

SOON_S = 20.0


class Server:
    """Does at each call what its plan says, and then takes everything."""

    def __init__(self, *plan: str) -> None:
        self.plan = list(plan)
        self.got: list[str] = []

    def __call__(self, letters: Sequence[Letter]) -> Sent:
        fault = self.plan.pop(0) if self.plan else ""
        if fault == "gone":
            raise SinkError("does not answer")
        if fault == "bug":
            raise ZeroDivisionError
        self.got += [letter.key for letter in letters]
        if fault == "busy for all but the first":
            return Sent(delivered=list(letters[:1]), later="busy")
        if fault == "refuses the first":
            return Sent(delivered=list(letters[1:]), refused={letters[0].seq: "bad"})
        return Sent(delivered=list(letters))


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path) as opened:
        yield opened


def deliver(outbox: Outbox, server: Server) -> Delivery:
    """Puts three letters and returns when none waits any more."""
    outbox.put([("s", key, "{}") for key in "xyz"], now_ns=0)
    delivery = Delivery(outbox, "s", server, batch=2)
    until(lambda: outbox.depth("s") == 0, SOON_S)
    delivery.close()
    delivery.close()
    return delivery


def test_everything_arrives_in_order(outbox: Outbox) -> None:
    server = Server()
    delivery = deliver(outbox, server)
    assert server.got == ["x", "y", "z"]
    assert delivery.status() == {"owed": 0, "delivered": 3, "refused": 0}


@pytest.mark.logs_errors
@pytest.mark.parametrize("fault", ["gone", "bug"])
def test_server_that_fails_is_asked_again(outbox: Outbox, fault: str) -> None:
    server = Server(fault, fault)
    deliver(outbox, server)
    assert server.got == ["x", "y", "z"]


def test_only_what_the_server_did_not_take_is_sent_again(outbox: Outbox) -> None:
    server = Server("busy for all but the first")
    deliver(outbox, server)
    assert server.got == ["x", "y", "y", "z"]


@pytest.mark.logs_errors
def test_letter_that_is_refused_for_good_does_not_hold_up_the_others(outbox: Outbox) -> None:
    delivery = deliver(outbox, Server("refuses the first"))
    assert delivery.status() == {"owed": 0, "delivered": 2, "refused": 1}


def test_what_is_put_later_is_sent_at_once_when_told(outbox: Outbox) -> None:
    server = Server()
    delivery = Delivery(outbox, "s", server)
    outbox.put([("s", "late", "{}")], now_ns=0)
    delivery.wake()
    until(lambda: server.got == ["late"], SOON_S)
    delivery.close()


def test_status_says_what_hinders_until_it_does_no_more(outbox: Outbox) -> None:
    server = Server("gone", "gone")
    outbox.put([("s", "x", "{}")], now_ns=0)
    delivery = Delivery(outbox, "s", server)
    until(lambda: delivery.status().get("last_error") == "does not answer", SOON_S)
    until(lambda: outbox.depth("s") == 0 and not delivery.error, SOON_S)
    delivery.close()
