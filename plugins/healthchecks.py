"""Pings a service that raises the alarm when nothing is heard: healthchecks.io, one's own Healthchecks, or whatever takes such URLs."""

import json
import logging
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr, field_validator

from plugins import asking
from plugins.asking import Server, Unreachable
from plugins.hooks import hookimpl
from plugins.kit import Kit
from plugins.settings import BesideConfig, Settings
from plugins.values import BackupEnded, WindowChanged, WindowOpening

logger = logging.getLogger(__name__)

NAME = "{name}"


class HealthchecksSettings(Settings):
    """`[hooks.NAME]` with `plugin = "healthchecks"`."""

    url: SecretStr
    """The ping URL. "{name}" in it becomes "window-NAME" or "policy-NAME", as slugs have it: "https://hc-ping.com/KEY/{name}"."""
    windows: tuple[str, ...] = ("*",)
    """Names (globs) of the windows that are pinged for: their start, and their end: well when nobody failed, was refused or was missed."""
    policies: tuple[str, ...] = ()
    """Names (globs) of policies: a failure at once, well at the end of a window in which none of its VMs failed and nothing was missed."""
    ca_file: BesideConfig | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        asking.checked(value.get_secret_value())
        return value


class Healthchecks:
    """One account. What was seen of policies in an open window is on the disk: a restart makes no failure forgotten."""

    Settings = HealthchecksSettings

    def __init__(self, settings: HealthchecksSettings, kit: Kit) -> None:
        self._settings = settings
        self._folder = kit.folder
        self._server = Server(settings.ca_file, timedelta(seconds=10), tries=3, pauses=(1.0, 2.0))

    @hookimpl
    def window_changed(self, change: WindowChanged) -> None:
        """Ping for the window, and at its end for the policies that had VMs in it."""
        window, ended = change.window, change.ended
        listed = _fits(window.name, self._settings.windows)
        if ended is None:
            self._seen(window.pool, window.name).unlink(missing_ok=True)
            if listed:
                self._ping(f"window-{window.name}", "/start", f"pool {window.pool}")
            return
        said = f"pool {window.pool}: {ended}"
        if listed:
            self._ping(f"window-{window.name}", "" if ended.well else "/fail", said)
        self._close(window, said, missed=ended.missed > 0)

    @hookimpl
    def backup_ended(self, backup: BackupEnded) -> None:
        """Note it; a failure is told at once."""
        vm, ended = backup.vm, backup.ended
        if not _fits(vm.policy, self._settings.policies):
            return
        well = ended.status in ("saved", "skipped")
        if vm.window:
            with self._seen(vm.pool, vm.window).open("a") as file:
                file.write(json.dumps([vm.policy, well]) + "\n")
        if not well:
            self._ping(f"policy-{vm.policy}", "/fail", f"VM {vm.name} of pool {vm.pool}: {ended.status}: {ended.reason}")

    def _close(self, window: WindowOpening, said: str, *, missed: bool) -> None:
        path = self._seen(window.pool, window.name)
        try:
            lines = [json.loads(line) for line in path.read_text().splitlines()]
        except FileNotFoundError:
            return
        failed = {policy for policy, well in lines if not well}
        for policy in sorted({policy for policy, _ in lines} - failed):
            self._ping(f"policy-{policy}", "/fail" if missed else "", said)
        path.unlink(missing_ok=True)

    def _seen(self, pool: str, window: str) -> Path:
        return self._folder / f"{quote(pool, safe='')} {quote(window, safe='')}.seen"

    def _ping(self, name: str, how: str, text: str) -> None:
        """Ping, a few times at most; nobody waits for it. The URL is a secret and not told."""
        slug = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
        url = self._settings.url.get_secret_value().replace(NAME, slug).rstrip("/") + how
        number = 0
        while True:
            number += 1
            try:
                answer = self._server.ask(url, text.encode()[:10_000], {"Content-Type": "text/plain"})
                problem = "" if answer.well else f"{asking.shown(url)} answers {answer.status}"
            except Unreachable as error:
                problem = str(error)
            if not problem:
                return
            if not self._server.again(number):
                raise RuntimeError(f"{name} could not be pinged: {problem}")


def _fits(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
