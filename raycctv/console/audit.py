"""Who saw, exported, deleted or changed what, and when."""

import json
import logging
import threading
from dataclasses import dataclass, replace
from typing import Any

from raycctv.clock import Clock
from raycctv.console.database import Database
from raycctv.errors import ConsoleError

log = logging.getLogger(__name__)

AGAIN_S = 600.0
"""Looking at a camera goes on: it is noted once in this time."""

_KEPT = 1_000_000
"""Lines that are kept, the newest: some 200 MB."""

_PRUNED_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Note:
    """One line.

    Attributes:
        account: None where somebody was not logged in.
        camera: None where it concerns none.
    """

    id: int
    at_ns: int
    account: str | None
    address: str | None
    what: str
    camera: str | None
    details: dict[str, Any]


class AuditLog:
    """Lines in the database of the accounts, which nobody changes through the console. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[tuple[str | None, str, str | None], float] = {}

    def note(
        self,
        account: str | None,
        address: str | None,
        what: str,
        camera: str | None = None,
        *,
        ongoing: bool = False,
        **details: Any,
    ) -> None:
        """Write a line; of what is ``ongoing`` one in ten minutes for the same account, act and camera.

        A database that takes no more hinders nobody from looking at a camera: the line goes to the component's log then.
        """
        if ongoing and not self._is_due((account, what, camera)):
            return
        text = json.dumps(details, ensure_ascii=False, default=str)
        try:
            self._database.write(
                "INSERT INTO audit (at_ns, account, address, what, camera, details) VALUES (?, ?, ?, ?, ?, ?)",
                self._clock.now_ns(), account, address, what, camera, text,
            )  # fmt: skip
            self._prune()
        except ConsoleError as error:
            log.error("audit: %s by %s of %s (%s) could not be written down: %s", what, account, camera, text, error)

    def notes(
        self,
        *,
        account: str | None = None,
        what: str | None = None,
        camera: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Note]:
        """The newest first, of those with an id below ``before``.

        Raises:
            ConsoleError: the database cannot be read.
        """
        wanted = {"account = ?": account, "what = ?": what, "camera = ?": camera, "id < ?": before}
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(["true", *given])
        query = f"SELECT id, at_ns, account, address, what, camera, details FROM audit WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
        notes = [Note(*row) for row in self._database.read(query, *given.values(), limit)]
        return [replace(note, details=json.loads(str(note.details))) for note in notes]

    def _is_due(self, key: tuple[str | None, str, str | None]) -> bool:
        now_s = self._clock.monotonic_s()
        with self._lock:
            if now_s - self._noted.get(key, -AGAIN_S) < AGAIN_S:
                return False
            self._noted = {key: at_s for key, at_s in self._noted.items() if now_s - at_s < AGAIN_S} | {key: now_s}
            return True

    def _prune(self) -> None:
        newest = self._database.read("SELECT max(id) FROM audit")[0][0]
        if newest % _PRUNED_EVERY == 0:
            self._database.write("DELETE FROM audit WHERE id <= ?", newest - _KEPT)
