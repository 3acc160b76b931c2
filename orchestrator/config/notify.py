"""`[notify.NAME]`: a channel by which people are told what happened, and of what."""

import os
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, SecretStr, field_validator, model_validator

from orchestrator.config.plugins import PluginTable
from orchestrator.config.section import Section
from orchestrator.config.windows import TimeZone
from orchestrator.notify.kinds import DEFAULT, Kind
from workflows.windows import Window

CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
LATE = timedelta(hours=12)
"""A digest that nobody could send in time is sent for so long afterwards."""
TOLD_TOO = frozenset({"vf_leaked", "run_ended", "backup_ended", "window_changed"})
"""The hooks of the observer apprise that say what a channel says."""
AS_OBSERVER = 'which = ["host_changed", "vf_freed"]'


def _clock(value: str) -> str:
    if not CLOCK.fullmatch(value):
        raise ValueError('write a time of day such as "07:30"')
    return value


class Channel(Section):
    """`[notify.NAME]`. Exactly one of *url*, *url_file* and *url_env* gives apprise's URL: it holds tokens, so nothing of it is shown."""

    url: SecretStr | None = None
    url_file: Path | None = None
    url_env: str | None = None
    events: tuple[Kind, ...] = DEFAULT
    """What is told at once."""
    pools: tuple[str, ...] = ()
    """Of which pools; left out: of all. What is of no pool is told whatever stands here."""
    digest: Annotated[str, AfterValidator(_clock)] | None = None
    """When the summary of the last day is sent, such as "07:30"; left out: never."""
    timezone: TimeZone = "UTC"
    """Whose clock *digest* means, and in which moments are written."""
    digest_when_quiet: bool = False
    """Whether the digest is sent when nothing was saved or missed, and nothing needs anybody."""
    report: bool = False
    """Whether the digest has the report of backups as a page: a mail's body, with others a file where the service takes files."""

    @field_validator("events", "pools", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_url(self) -> "Channel":
        given = [name for name in ("url", "url_file", "url_env") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of url, url_file, url_env (given: {', '.join(given) or 'none'})")
        if self.report and self.digest is None:
            raise ValueError('report: the page goes with the digest: write digest = "07:30"')
        return self

    def mornings(self) -> Window | None:
        """When digests are due, each for as long as it is worth sending; None: never."""
        found = CLOCK.fullmatch(self.digest or "")
        return Window(f"{int(found[2])} {int(found[1])} * * *", LATE, self.timezone) if found else None


def url_of(path: Path, channel: Channel) -> tuple[SecretStr | None, str]:
    """The URL of a channel of the configuration at *path*, or what is wrong with where it was to be found."""
    if channel.url_file is not None:
        file = path.parent / channel.url_file.expanduser()
        try:
            return SecretStr(file.read_text(encoding="utf-8").strip()), ""
        except (OSError, UnicodeDecodeError) as error:
            why = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error.__class__.__name__}"
            return None, f"url_file{_named(str(channel.url_file))}: {why}"
    if channel.url_env is not None:
        written = os.environ.get(channel.url_env)
        if written is None:
            return None, f"url_env{_named(channel.url_env)}: there is no such environment variable"
        return SecretStr(written), ""
    return channel.url, ""


def _named(written: str) -> str:
    """As it was written, unless it may be the URL itself."""
    return "" if ":" in written else f" = {written!r}"


def complaint_of_channels(channels: Mapping[str, Channel], pools: Collection[str], hooks: Mapping[str, PluginTable]) -> str | None:
    """What is wrong with channels beside the rest of the file, in words; an observer that would tell people the same is."""
    for name, channel in channels.items():
        if absent := [pool for pool in channel.pools if pool not in pools]:
            return f"notify.{name}.pools = {absent[0]!r}: there is no pool of that name"
    for name, table in hooks.items() if channels else ():
        if table.plugin == "apprise" and (both := TOLD_TOO & set(table.written.get("which", TOLD_TOO))):
            first = next(iter(channels))
            return f"hooks.{name}: {min(both)} is told by [notify.{first}] too: write {AS_OBSERVER}, or leave out the table"
    return None
