"""Telling a web server of events: one POST for each state."""

from collections.abc import Sequence

import requests

from raycctv.config import ServerUrl
from raycctv.errors import SinkError
from raycctv.sinks.delivery import Sent
from raycctv.sinks.outbox import Letter

KEY_HEADER = "Idempotency-Key"
"""Holds the fingerprint of the state: a server that sees it again has had it, and may answer as before."""

_TIMEOUT_S = 10.0
_LATER = (408, 425, 429)


class Webhook:
    """Posts letters, one after another. An answer of 2xx counts as delivered; of 4xx, but for "later", as refused."""

    def __init__(self, url: ServerUrl) -> None:
        self._url = url
        self._session = requests.Session()

    def __call__(self, letters: Sequence[Letter]) -> Sent:
        """Send a batch; stops at the first that the server does not take now.

        Raises:
            SinkError: the first finds no server.
        """
        sent = Sent()
        for letter in letters:
            try:
                status = self._post(letter)
            except SinkError as error:
                if not sent.delivered and not sent.refused:
                    raise
                sent.later = str(error)
                return sent
            if 200 <= status < 300:
                sent.delivered.append(letter)
            elif 400 <= status < 500 and status not in _LATER:
                sent.refused[letter.seq] = f"{self._url} answers {status}"
            else:
                sent.later = f"{self._url} answers {status}"
                return sent
        return sent

    def _post(self, letter: Letter) -> int:
        headers = {"Content-Type": "application/json", KEY_HEADER: letter.key}
        try:
            answer = self._session.post(
                self._url.reveal(), data=letter.body.encode(), headers=headers, timeout=_TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            raise SinkError(f"{self._url} does not answer ({type(error).__name__})") from error
        return answer.status_code
