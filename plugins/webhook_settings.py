"""The settings of plugin webhook."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from plugins import asking, implementations
from plugins.callbacks import Address
from plugins.settings import BesideConfig, Settings
from plugins.spans import Span

SHORTEST = 16
TOLD = (*implementations.ACTING, *implementations.OBSERVING)


class WebhookSettings(Settings):
    """`[hooks.NAME]` or `[products.NAME]` with `plugin = "webhook"`."""

    url: SecretStr
    """Where everything is sent, https; http to this machine alone. It may hold a token, so it is shown nowhere but for its host."""
    secret: SecretStr
    """What messages are signed with, 16 characters or more; both sides have it."""
    which: tuple[str, ...] = ()
    """Which hooks it is told of."""
    when_unreachable: Literal["later", "give-up", "go-on"] = "later"
    """What an acting hook says when no answer comes."""
    ca_file: BesideConfig | None = None
    """PEM certificates that the server's is verified by; left out: those that the system trusts."""
    timeout: Span = timedelta(seconds=20)
    tries: int = Field(default=3, ge=1, le=10)
    """How often a message is sent when no answer comes, or a 5xx."""
    listen: str = ""
    """Where call-backs of jobs are listened for, on this machine: "127.0.0.1:9110"."""
    callback_url: str = ""
    """As the vendor reaches that, through a proxy most likely; left out: as `listen` says."""
    needs: Literal["nothing", "snapshot", "job"] = "snapshot"
    """During what the product needs the VM to hold no VF."""

    @field_validator("url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        asking.checked(value.get_secret_value())
        return value

    @field_validator("secret")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < SHORTEST:
            raise ValueError(f"it must have at least {SHORTEST} characters, such as `openssl rand -hex 32` gives")
        return value

    @field_validator("which")
    @classmethod
    def _which(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in value if name not in TOLD]:
            raise ValueError(f"there is no hook {wrong[0]!r}; there are {', '.join(TOLD)}")
        return value

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        if value:
            address_of(value)
        return value

    @model_validator(mode="after")
    def _calls_back(self) -> "WebhookSettings":
        if self.callback_url:
            asking.checked(self.callback_url)
            if not self.listen:
                raise ValueError("callback_url: give listen too: nobody would hear the call-back")
        return self


def address_of(listen: str) -> Address:
    """Host and port; ValueError unless it is this machine's own."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit() or int(port) > 65535 or not asking.is_loopback(host):
        raise ValueError('write "127.0.0.1:PORT" or "[::1]:PORT": a proxy in front of it takes TLS and everybody else')
    return Address(host, int(port))
