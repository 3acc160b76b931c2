"""Sends messages by apprise. What it needs to know of a channel is a URL with tokens in it, of which nothing ever leaves this file."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from orchestrator.notify.news import Message
from plugins import apprising
from plugins.errors import PluginError

PIECE = re.compile(r"[^/:@?&=;,\s]{4,}")
"""What may be a token: each piece of a URL that is long enough to be one."""
LONGEST = 300
PAGE = "report.html"


class NotTaken(Exception):
    """The channel did not take a message; the text says why, without its URL."""


class Unusable(Exception):
    """Nothing can be sent by the channel as it is written, or as this machine is; the text says why, without its URL."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to tell people. *url*: apprise's."""

    name: str
    url: SecretStr = field(repr=False)

    @property
    def service(self) -> str:
        """What kind it is, such as "mailto": all that anybody is shown of the URL."""
        return urlsplit(self.url.get_secret_value().strip()).scheme

    def check(self) -> None:
        """Raise `Unusable` unless apprise is installed and knows the URL."""
        self._made()

    def send(self, message: Message) -> None:
        """Hand it over, however long that takes. Raises `NotTaken`, `Unusable`."""
        made = self._made()
        try:
            taken = made.notify(title=message.title, notify_type=message.level, **_body(message, made[0]))
        except Exception as error:  # noqa: BLE001 - a service's own code may raise anything
            raise NotTaken(self._without_url(f"{type(error).__name__}: {error}")) from None
        if not taken:
            said = "; ".join(dict.fromkeys(entry.message for entry in taken.logs()))
            raise NotTaken(self._without_url(said) or "it did not say why")

    def _made(self) -> Any:
        try:
            return apprising.made([self.url.get_secret_value().strip()])
        except PluginError as error:
            why = str(error) if str(error) == apprising.NEEDED else "its URL is none that apprise knows"
            raise Unusable(why) from None

    def _without_url(self, said: str) -> str:
        """Without any piece of the URL but the service's host: whatever else is in it may be a secret."""
        url = self.url.get_secret_value().strip()
        host = urlsplit(url).hostname or ""
        pieces = {piece for text in (url, unquote(url)) for piece in PIECE.findall(text)} - {self.service, host}
        for piece in sorted(pieces, key=len, reverse=True):
            said = said.replace(piece, "***")
        return said.replace("\n", " ")[:LONGEST]


def _body(message: Message, server: Any) -> dict[str, Any]:
    """A mail has the page as its body; others have the text, and the page as a file where they take files."""
    if not message.page:
        return {"body": message.text, "body_format": "text"}
    formats = getattr(server, "notify_format", ())
    if next(iter(formats if isinstance(formats, tuple) else (formats,)), None) == "html":
        return {"body": message.page, "body_format": "html"}
    file = _file(message.page) if server.attachment_support else {}
    return {"body": message.text, "body_format": "text", **file}


def _file(page: str) -> dict[str, Any]:
    from apprise.attachment.memory import AttachMemory

    made: Any = AttachMemory
    return {"attach": [made(content=page, name=PAGE, mimetype="text/html")]}
