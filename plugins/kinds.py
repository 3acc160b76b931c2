"""Which plugins there are to choose from: the shipped ones, and those of installed packages. Nothing is imported unasked."""

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from importlib.metadata import EntryPoint

from plugins import bounded, hooks
from plugins.errors import PluginError

SHIPPED = {
    "borg": "plugins.borg:Borg",
    "restic": "plugins.restic:Restic",
    "xva": "plugins.xva:Xva",
    "command": "plugins.command:Command",
    "webhook": "plugins.webhook:Webhook",
    "apprise": "plugins.apprise_notify:Apprise",
    "healthchecks": "plugins.healthchecks:Healthchecks",
    "log": "plugins.log",
}
OURS = "vf-orchestrator"
IMPORT = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Offer:
    """A plugin that may be loaded: *name*, where it is from (a distribution and its version), where its code is ("module:object")."""

    name: str
    origin: str
    version: str
    value: str
    shipped: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """An offer after it was loaded: its *target* (a class, or an object that is a plugin as it stands), or the *problem* with it."""

    offer: Offer
    target: object = None
    problem: str = ""

    @property
    def is_class(self) -> bool:
        """Whether it is made anew for each table that wants it, with that table's settings."""
        return inspect.isclass(self.target)


def offers(entry_points: Iterable[EntryPoint] | None = None) -> dict[str, Offer | PluginError]:
    """Everything on offer by name; an error where several packages offer the same name, or one the name of a shipped plugin."""
    found: dict[str, Offer | PluginError] = {}
    for name, value in SHIPPED.items():
        found[name] = Offer(name, OURS, _version(OURS), value, shipped=True)
    for entry_point in metadata.entry_points(group=hooks.GROUP) if entry_points is None else entry_points:
        offer = _offer(entry_point)
        there = found.get(offer.name)
        if there is None or there == offer:
            found[offer.name] = offer
        elif isinstance(there, Offer) and there.shipped:
            found[f"{offer.name} of {offer.origin}"] = PluginError(
                f"{offer.origin} offers {offer.name!r}, which is the name of a shipped plugin"
            )
        else:
            other = there.origin if isinstance(there, Offer) else "others"
            found[offer.name] = PluginError(f"{other} and {offer.origin} both offer {offer.name!r}: uninstall one of them")
    return found


def load(offer: Offer, within: timedelta = IMPORT) -> Kind:
    """Import it, in a thread that is left behind when that takes too long; whatever goes wrong is the kind's problem and nobody else's."""
    try:
        return Kind(offer, bounded.call(lambda: _imported(offer), within, f"loading plugin {offer.name}"))
    except bounded.Late:
        return Kind(offer, problem=f"importing {offer.value} has not come to an end within {within.total_seconds():g} s")
    except ModuleNotFoundError as error:
        return Kind(offer, problem=f"importing {offer.value}: there is no module {error.name!r}: install the package that has it")
    except Exception as error:  # noqa: BLE001 - a vendor's code may raise anything; it must not keep the daemon from starting
        return Kind(offer, problem=f"importing {offer.value}: {type(error).__name__}: {error}")


def _imported(offer: Offer) -> object:
    module, _, name = offer.value.partition(":")
    found: object = importlib.import_module(module)
    for part in filter(None, name.split(".")):
        found = getattr(found, part)
    return found


def _offer(entry_point: EntryPoint) -> Offer:
    distribution = entry_point.dist
    origin, version = (distribution.name, distribution.version) if distribution is not None else ("an unknown package", "")
    return Offer(entry_point.name, origin, version, entry_point.value.partition("[")[0].strip())


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
