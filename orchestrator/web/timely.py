"""A connection that hangs up on requests which do not come to their end: their head, or the body that they announced."""

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

HEAD = 20.0  # seconds from the connection, or from the answer before, to the last byte of a request's head
BODY = 60.0  # and from there to the last byte of its body, of which there is a megabyte at most


class Timely(H11Protocol):
    """Whoever sends a byte now and then has no more time than others: the connection is one of those that others want."""

    _owed: Any = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """The head is owed from now on."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Something came: it may have been the end of what is owed."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is owed any more."""
        super().connection_lost(exc)
        self._await(None)

    def _look(self) -> None:
        owed = self.conn.their_state
        if owed is not self._owed and not self.transport.is_closing():
            self._await(owed)

    def _await(self, owed: Any) -> None:
        """*owed*: what of the request is to come, as h11 calls it; time runs for its head and its body."""
        if self._timer is not None:
            self._timer.cancel()
        within = {h11.IDLE: HEAD, h11.SEND_BODY: BODY}.get(owed)
        self._owed, self._timer = owed, None if within is None else self.loop.call_later(within, self._hang_up)

    def _hang_up(self) -> None:
        logger.info("a request did not come to its end in time: its connection is closed")
        self.transport.close()
