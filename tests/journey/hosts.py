"""Watches the hosts of a simulated pool from outside, by what anybody could see: whether they answer."""

import socket
import threading
from collections import Counter
from urllib.parse import urlsplit

LOOK_SECONDS = 0.05


class Watch:
    """Looks at every host's port, from `start` to `stop`: *downs* counts how often each went, *together* is how many were away at once."""

    def __init__(self, url: str, addresses: dict[str, str]) -> None:
        self._port = urlsplit(url).port
        self._addresses = addresses
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self.downs: Counter[str] = Counter()
        self.together = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        away: set[str] = set()
        while not self._stop.wait(LOOK_SECONDS):
            now = {name for name, address in self._addresses.items() if not self._answers(address)}
            self.downs.update(now - away)
            self.together = max(self.together, len(now))
            away = now

    def _answers(self, address: str) -> bool:
        try:
            with socket.create_connection((address, self._port), timeout=1):
                return True
        except OSError:
            return False
