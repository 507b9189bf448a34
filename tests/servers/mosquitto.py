"""A real MQTT broker for tests."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from support import until

from raycctv.process import die_with_parent

_USER, _PASSWORD = "raycctv", "secret"


class Broker:
    """Asks for the password "secret" of the user "raycctv"; keeps what a listener has not fetched."""

    def __init__(self, folder: Path, port: int) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            pytest.skip("mosquitto is not installed; scripts/system_packages.sh test does it")
        self.port = port
        self.url = f"mqtt://{_USER}:{_PASSWORD}@127.0.0.1:{port}"
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), _USER, _PASSWORD], check=True)
        settings = folder / "mosquitto.conf"
        settings.write_text(f"listener {port} 127.0.0.1\npassword_file {passwords}\nallow_anonymous false\nuser root\n")
        self._command = [program, "-c", str(settings)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it lets somebody in."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        until(self._answers, 20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with listening(self, "nothing"):
                return True
        except OSError:
            return False


@contextmanager
def listening(broker: Broker, topic: str) -> Iterator[list[MQTTMessage]]:
    """What is published below ``topic`` from now on."""
    got: list[MQTTMessage] = []
    subscribed: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(_USER, _PASSWORD)
    client.on_message = lambda _client, _data, message: got.append(message)
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        client.subscribe(f"{topic}/#", qos=1)
        until(lambda: bool(subscribed), 20)
        yield got
    finally:
        client.disconnect()
        client.loop_stop()
