"""Telling an MQTT broker of events: one message of QoS 1 for each state, below ``<topic>/<camera>/<kind>``."""

import json
import threading
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from raycctv.config import MqttUrl
from raycctv.errors import SinkError
from raycctv.sinks.delivery import Sent
from raycctv.sinks.outbox import Letter
from raycctv.types import NO_CAMERA

ALL = "all"
"""Stands for the camera in the topic of an event that concerns none."""

_TIMEOUT_S = 10.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class Mqtt:
    """Publishes letters over one connection, which is made anew when it is lost. A broker that confirms has them.

    QoS 1 delivers at least once: a message that arrives twice has the same ``id`` and ``state``.
    """

    def __init__(self, url: MqttUrl, topic: str) -> None:
        self._url, self._topic = url, topic
        self._client: Client | None = None

    def __call__(self, letters: Sequence[Letter]) -> Sent:
        """Send a batch.

        Raises:
            SinkError: the broker does not answer, lets us not in, or does not confirm.
        """
        client = self._connected()
        waiting = [(letter, client.publish(self._where(letter), letter.body, qos=1)) for letter in letters]
        sent = Sent()
        for letter, info in waiting:
            if not _confirmed(info):
                self.close()
                sent.later = f"{self._url} does not confirm"
                return sent
            sent.delivered.append(letter)
        return sent

    def close(self) -> None:
        """Idempotent; the next batch connects anew."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _where(self, letter: Letter) -> str:
        line = json.loads(letter.body)
        camera = ALL if line["camera"] == NO_CAMERA else line["camera"]
        return f"{self._topic}/{camera}/{line['kind']}"

    def _connected(self) -> Client:
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        parts = urlsplit(self._url.reveal())
        client = Client(CallbackAPIVersion.VERSION2)
        if parts.username is not None:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            client.tls_set()
        answered = threading.Event()
        words: list[str] = []

        def on_connect(_client: Client, _data: object, _flags: object, reason: object, _properties: object) -> None:
            words.append(str(reason))
            answered.set()

        client.on_connect = on_connect
        client.connect_timeout = _TIMEOUT_S
        try:
            client.connect(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        except (OSError, ValueError) as error:
            raise SinkError(f"{self._url} does not answer: {error}") from error
        client.loop_start()
        self._client = client
        if not answered.wait(_TIMEOUT_S) or words != ["Success"]:
            self.close()
            raise SinkError(f"{self._url} lets us not in: {', '.join(words) or 'it says nothing'}")
        return client


def _confirmed(info: MQTTMessageInfo) -> bool:
    try:
        info.wait_for_publish(_TIMEOUT_S)
    except (ValueError, RuntimeError):
        return False
    return info.is_published()
