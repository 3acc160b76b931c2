"""Messages to people by apprise (https://github.com/caronc/apprise): mail, chat, telephone, whatever it has a URL for."""

from datetime import datetime

from pydantic import SecretStr, field_validator

from plugins import apprising, implementations
from plugins.apprising import FAILURE, INFO, WARNING
from plugins.hooks import hookimpl
from plugins.kit import Kit
from plugins.settings import Settings
from plugins.values import BackupEnded, HostChanged, RunEnded, VFFreed, VFLeaked, WindowChanged


class AppriseSettings(Settings):
    """`[hooks.NAME]` with `plugin = "apprise"`; needs the extra `notify`."""

    urls: SecretStr
    """Apprise's URLs, each on a line of its own or after a space: they hold tokens, so nothing of them is shown."""
    which: tuple[str, ...] = ("vf_leaked", "run_ended", "backup_ended", "window_changed")
    """Which happenings are told."""
    all: bool = False
    """False: of runs and backups only what went wrong, of windows only the end."""

    @field_validator("which")
    @classmethod
    def _which(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in value if name not in implementations.OBSERVING]:
            raise ValueError(f"there is no observing hook {wrong[0]!r}; there are {', '.join(implementations.OBSERVING)}")
        return value


class Apprise:
    """One circle of people."""

    Settings = AppriseSettings

    def __init__(self, settings: AppriseSettings, kit: Kit) -> None:
        self._all = settings.all
        self._name = kit.name
        self._apprise = apprising.made(settings.urls.get_secret_value().split())
        for hook in implementations.OBSERVING:
            if hook not in settings.which:
                setattr(self, hook, None)

    @hookimpl
    def vf_freed(self, freed: VFFreed) -> None:
        """Which VM's, and how many are free."""
        self._tell(INFO, freed.at, f"VFs of {freed.vm_name} are free", f"{freed.free} of {freed.total} on {freed.port}, pool {freed.pool}")

    @hookimpl
    def vf_leaked(self, leaked: VFLeaked) -> None:
        """A person is needed."""
        text = f"{leaked.port} of pool {leaked.pool}: see `vfo run {leaked.run_id}`"
        self._tell(FAILURE, leaked.at, f"{leaked.count} VFs are leaked", text)

    @hookimpl
    def run_ended(self, ended: RunEnded) -> None:
        """Stuck ones; all of them where the table says so."""
        if self._all or ended.end == "stuck":
            text = f"pool {ended.pool}: {ended.reason or 'it is so'}; `vfo run {ended.run_id}`"
            level = FAILURE if ended.end == "stuck" else INFO
            self._tell(level, ended.at, f"{ended.workflow} of {ended.title} is {ended.end}", text)

    @hookimpl
    def backup_ended(self, backup: BackupEnded) -> None:
        """What was not saved; all of them where the table says so."""
        vm, ended = backup.vm, backup.ended
        well = ended.status in ("saved", "skipped")
        if self._all or not well:
            text = f"policy {vm.policy}, pool {vm.pool}{f': {ended.reason}' if ended.reason else ''}"
            self._tell(INFO if well else WARNING, backup.at, f"backup of {vm.name}: {ended.status}", text)

    @hookimpl
    def window_changed(self, change: WindowChanged) -> None:
        """What came of it; its opening where the table says so."""
        window, ended = change.window, change.ended
        if ended is not None:
            text = f"pool {window.pool}: {ended}"
            self._tell(INFO if ended.well else WARNING, change.at, f"window {window.name} is over", text)
        elif self._all:
            self._tell(INFO, change.at, f"window {window.name} is open", f"pool {window.pool}")

    @hookimpl
    def host_changed(self, change: HostChanged) -> None:
        """Whether it is in service."""
        how = "does not answer" if not change.live else "is in service" if change.enabled else "is disabled"
        level = INFO if change.live and change.enabled else WARNING
        self._tell(level, change.at, f"host {change.name} {how}", f"pool {change.pool}")

    def _tell(self, level: str, at: datetime, title: str, text: str) -> None:
        if not self._apprise.notify(title=f"vfo: {title}", body=f"{text} ({at:%Y-%m-%d %H:%M} UTC)", notify_type=level):
            raise RuntimeError(f"[hooks.{self._name}]: apprise could not tell everybody: {title}")
