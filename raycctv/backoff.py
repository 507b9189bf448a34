"""How long to wait before trying again."""


class Backoff:
    """Waits that double from ``first_s`` to ``longest_s``, and begin anew after a success that lasted.

    The waits are short on purpose: a camera that comes back must be read again within 5 s, for ever.
    """

    def __init__(self, first_s: float = 0.25, longest_s: float = 2.0, settled_s: float = 5.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._settled_s = settled_s
        self._next_s = first_s

    def after(self, lasted_s: float) -> float:
        """Seconds to wait, given that the try that has just ended had worked for ``lasted_s``."""
        if lasted_s >= self._settled_s:
            self._next_s = self._first_s
        wait_s = self._next_s
        self._next_s = min(self._next_s * 2, self._longest_s)
        return wait_s
