"""Which handler answers which message."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.simulator.schema import Schema

# A handler takes the call, then the message's parameters as the data model orders them, checked and converted, without the session.
Handler = Callable[..., Any]
Messages = Mapping[str, Handler]


class Registry:
    """Handlers by message name. Each behaviour module gives a plain table `MESSAGES = {"VM.start": start, ...}`."""

    def __init__(self, schema: Schema, *tables: Messages) -> None:
        self._handlers: dict[str, Handler] = {}
        for table in tables:
            for method, handler in table.items():
                if method not in schema.messages:
                    raise KeyError(f"the data model has no message {method}")
                if method in self._handlers:
                    raise KeyError(f"two handlers for {method}")
                self._handlers[method] = handler

    def handler(self, method: str) -> Handler | None:
        """The hand-written handler of the message, or None when the table of the data model is all there is to it."""
        return self._handlers.get(method)
