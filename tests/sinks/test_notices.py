"""Telling somebody: a real web server, a real MQTT broker, and what is told at all."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.mosquitto import Broker, listening
from servers.webhook import Hook
from support import NS, T0_NS, event, until
from typer.testing import CliRunner

from raycctv.cli.main import app
from raycctv.clock import ManualClock
from raycctv.config import Config, MqttUrl, ServerUrl, parse
from raycctv.errors import SinkError
from raycctv.sinks.documents import fingerprint
from raycctv.sinks.event_log import to_json
from raycctv.sinks.mqtt import Mqtt
from raycctv.sinks.notices import asked_for, told_now, worth_telling
from raycctv.sinks.outbox import Letter, Outbox
from raycctv.sinks.post import MQTT, WEBHOOK, Post
from raycctv.sinks.webhook import Webhook
from raycctv.types import HEALTH_KINDS, NO_CAMERA, CameraName, Event

SOON_S = 20.0
OFFLINE = event("off", kind="camera_offline")
ENDED = event("off", kind="camera_offline", end_s=9)
LETTERS = [Letter(seq, f"key{seq}", json.dumps(to_json(event(f"e{seq}"), []))) for seq in range(3)]


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        yield server


@pytest.fixture
def broker(tmp_path: Path, free_port: int) -> Iterator[Broker]:
    made = Broker(tmp_path, free_port)
    made.start()
    yield made
    made.stop()


def config(folder: Path, notify: str) -> Config:
    return parse(f"cameras: {{gate: {{source: rtsp://camera/1}}}}\nlogs: {{dir: '{folder}'}}\nnotify: {{{notify}}}\n")


def put(post: Post, *states: Event) -> None:
    for state in states:
        post.put(state, to_json(state, []))


def test_kinds_that_nobody_asked_for_are_not_told() -> None:
    wanted = [asked_for(one, ["camera_offline"]) for one in (OFFLINE, event(), event(kind="disk_low"))]
    assert wanted == [True, False, False]


def test_category_stands_for_all_its_kinds() -> None:
    examples = [*(event(kind=kind) for kind in sorted(HEALTH_KINDS)), event(), event(kind="motion")]
    assert [asked_for(one, ["health"]) for one in examples] == [True] * len(HEALTH_KINDS) + [False, False]
    assert [asked_for(one, ["object", "motion"]) for one in examples] == [False] * len(HEALTH_KINDS) + [True, True]


class Teller:
    """Tells what is worth it, and remembers on disk what was told."""

    def __init__(self, folder: Path, quiet_s: float) -> None:
        self._outbox, self._quiet_ns = Outbox(folder), round(quiet_s * NS)

    def tells(self, one: Event) -> bool:
        if not worth_telling(one, self._outbox.told(one.camera, one.kind), self._quiet_ns):
            return False
        self._outbox.put([], 0, told_now(one))
        return True

    def remembered(self) -> int:
        return len(self._outbox.told(CameraName("gate"), "camera_offline"))

    def close(self) -> None:
        self._outbox.close()


@pytest.fixture
def teller(tmp_path: Path) -> Iterator[Teller]:
    made = Teller(tmp_path, quiet_s=300)
    yield made
    made.close()


def away(start_s: float, end_s: float | None = None) -> Event:
    return event(f"e{start_s:g}", kind="camera_offline", start_s=start_s, end_s=end_s)


def test_fault_that_comes_and_goes_is_told_once_in_a_while(teller: Teller) -> None:
    told = [(teller.tells(away(start_s)), teller.tells(away(start_s, start_s + 9))) for start_s in (0, 100, 299, 301, 350)]
    assert told == [(True, True), (False, False), (False, False), (True, True), (False, False)]
    assert teller.tells(event("other", camera="yard", kind="camera_offline", start_s=5))


def test_each_state_is_told_once_and_an_end_even_after_another_began(teller: Teller) -> None:
    asked = [away(0), away(0), away(400), away(0, 410), away(0, 410), away(0), away(400, 500), away(400, 500)]
    assert [teller.tells(one) for one in asked] == [True, False, True, True, False, False, True, False]


def test_what_was_told_is_forgotten_but_for_the_last(teller: Teller) -> None:
    for start_s in range(0, 5000, 400):
        teller.tells(away(start_s))
        teller.tells(away(start_s, start_s + 1))
    assert teller.remembered() == 1


def test_restart_tells_nothing_twice_and_still_tells_the_end(hook: Hook, tmp_path: Path) -> None:
    flapping = away(60)
    for states in ([OFFLINE], [OFFLINE, flapping], [replace(flapping, ended_at_ns=T0_NS + 70 * NS), ENDED], [ENDED]):
        post = Post(config(tmp_path, f"webhook: '{hook.url}'"), ManualClock(T0_NS))
        put(post, *states)
        until(lambda post=post: post.status()[WEBHOOK]["owed"] == 0, SOON_S)  # type: ignore[misc]
        post.close()
    assert [key for key, _ in hook.got] == [fingerprint(OFFLINE), fingerprint(ENDED)]


def test_webhook_is_told_of_begin_and_end_once_each(hook: Hook, tmp_path: Path) -> None:
    post = Post(config(tmp_path, f"webhook: '{hook.url}'"), ManualClock(T0_NS))
    put(post, OFFLINE, event("nobody asked"), ENDED, OFFLINE, ENDED)
    until(lambda: post.status()[WEBHOOK]["owed"] == 0, SOON_S)
    post.close()
    told = dict(hook.got)
    assert len(hook.got) == 2
    assert told[fingerprint(ENDED)] == {**to_json(ENDED, []), "state": "ended"}
    assert told[fingerprint(OFFLINE)]["category"] == "health"


def test_webhook_that_is_gone_is_told_later(free_port: int, tmp_path: Path) -> None:
    post = Post(config(tmp_path, f"webhook: 'http://user:secret@127.0.0.1:{free_port}/hook'"), ManualClock(T0_NS))
    put(post, OFFLINE)
    until(lambda: "does not answer" in post.status()[WEBHOOK].get("last_error", ""), SOON_S)
    assert "secret" not in str(post.status())
    assert post.oldest_ns() == {WEBHOOK: T0_NS}
    with Hook(free_port) as hook:
        until(lambda: len(hook.got) == 1, SOON_S)
        assert hook.authorization is not None
        assert hook.authorization.startswith("Basic ")
        until(lambda: post.oldest_ns() == {}, SOON_S)
    post.close()


def test_webhook_goes_on_after_what_it_refuses_and_waits_for_what_it_cannot_take_now(hook: Hook) -> None:
    send = Webhook(ServerUrl(hook.url))
    hook.answers = [404, 200, 503]
    sent = send(LETTERS)
    assert [letter.seq for letter in sent.delivered] == [1]
    assert sent.refused == {0: f"{hook.url} answers 404"}
    assert sent.later == f"{hook.url} answers 503"
    assert send(LETTERS[2:]).delivered == LETTERS[2:]


def test_broker_gets_a_message_for_each_state_under_its_topic(broker: Broker, tmp_path: Path) -> None:
    with listening(broker, "site") as got:
        post = Post(config(tmp_path, f"mqtt: '{broker.url}', topic: site"), ManualClock(T0_NS))
        put(post, OFFLINE, event("disk", camera=NO_CAMERA, kind="disk_low"))
        until(lambda: len(got) == 2, SOON_S)
        post.close()
    assert [message.topic for message in got] == ["site/gate/camera_offline", "site/all/disk_low"]
    assert json.loads(got[0].payload) == {**to_json(OFFLINE, []), "state": "begun"}
    assert {message.qos for message in got} == {1}


def test_broker_that_restarts_misses_nothing(broker: Broker) -> None:
    send = Mqtt(MqttUrl(broker.url), "raycctv")
    assert send(LETTERS[:1]).delivered == LETTERS[:1]
    broker.stop()
    with pytest.raises(SinkError, match=r"mqtt://raycctv:\*\*\*@127\.0\.0\.1:\d+ does not answer"):
        until(lambda: bool(send(LETTERS[1:]).later) and False, SOON_S)
    broker.start()
    with listening(broker, "raycctv") as got:
        assert send(LETTERS[1:]).delivered == LETTERS[1:]
        until(lambda: len(got) == 2, SOON_S)
    send.close()


def test_wrong_password_of_the_broker_is_an_error(broker: Broker) -> None:
    with pytest.raises(SinkError, match="lets us not in: Not authorized"):
        Mqtt(MqttUrl(broker.url.replace("secret", "wrong")), "raycctv")(LETTERS)


def notify_test(folder: Path, notify: str) -> tuple[int, list[dict[str, Any]]]:
    (folder / "cameras.yaml").write_text(f"cameras: {{gate: {{source: rtsp://camera/1}}}}\nnotify: {{{notify}}}\n")
    done = CliRunner().invoke(app, ["notify", "test", "--config", str(folder / "cameras.yaml"), "--json"])
    return done.exit_code, [json.loads(line) for line in done.output.splitlines()]


def test_notify_test_tells_everybody_and_says_who_has_it(hook: Hook, broker: Broker, tmp_path: Path) -> None:
    with listening(broker, "raycctv") as got:
        status, said = notify_test(tmp_path, f"webhook: '{hook.url}', mqtt: '{broker.url}'")
        until(lambda: len(got) == 1, SOON_S)
    assert (status, [line["delivered"] for line in said]) == (0, [True, True])
    assert (got[0].topic, hook.got[0][1]["kind"]) == ("raycctv/all/test", "test")


def test_notify_test_fails_where_somebody_does_not_take_it(hook: Hook, free_port: int, tmp_path: Path) -> None:
    hook.answers = [403]
    status, said = notify_test(tmp_path, f"webhook: '{hook.url}', mqtt: 'mqtt://127.0.0.1:{free_port}'")
    assert (status, [line["server"] for line in said], {line["delivered"] for line in said}) == (1, [WEBHOOK, MQTT], {False})
    assert said[0]["error"].endswith("answers 403")


@pytest.mark.parametrize("notify", ["webhook: 'ftp://host'", "mqtt: 'http://host'", "topic: 'a/#'"])
def test_what_cannot_be_told_is_an_error_of_the_configuration(notify: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"notify\.\w+"):
        config(tmp_path, notify)
