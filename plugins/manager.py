"""Makes the plugins that the configuration asks for: one that fails, at whatever, is told with its reason and hurts nobody else."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from plugins import bounded, implementations, kinds, settings
from plugins.errors import PluginError
from plugins.implementations import Implementation
from plugins.kinds import Kind, Offer
from plugins.kit import Kit
from plugins.settings import Mistake, NoSettings, WrongSettings

PRODUCTS, HOOKS, OBSERVERS = "products", "hooks", "observers"
MAKE = timedelta(seconds=20)
KitOf = Callable[[str, str], Kit]
"""Gives an instance its kit, by section and name."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the configuration that wants a plugin: `[products.NAME]` or `[hooks.NAME]` (*section*), without its key `plugin`."""

    section: str
    name: str
    plugin: str
    written: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As it is called in the configuration."""
        return f"{self.section}.{self.name}"


@dataclass(frozen=True, slots=True)
class Instance:
    """A plugin in use: what it implements, by hook; or the *problem* with it (then nothing), with the *mistakes* of its table.

    *section*: "products", "hooks", or "observers" for one that needs no table.
    """

    section: str
    name: str
    plugin: str
    hooks: Mapping[str, Implementation] = field(default_factory=dict)
    problem: str = ""
    mistakes: tuple[Mistake, ...] = ()

    @property
    def label(self) -> str:
        """What it is called in logs and errors."""
        return self.name if self.section == OBSERVERS else f"{self.section}.{self.name}"


@dataclass(frozen=True, slots=True)
class Plugins:
    """All plugins in use, and the kinds that were loaded for them."""

    instances: tuple[Instance, ...] = ()
    kinds: tuple[Kind, ...] = ()

    def product(self, name: str) -> Instance:
        """The product of that name. Raises PluginError when there is none, or when it cannot be used."""
        return self._of(PRODUCTS, name)

    def hook(self, name: str) -> Instance:
        """The instance of `[hooks.NAME]`. Raises PluginError as above."""
        return self._of(HOOKS, name)

    @property
    def observers(self) -> tuple[Instance, ...]:
        """Those that are told of anything."""
        return tuple(one for one in self.instances if implementations.OBSERVING.keys() & one.hooks)

    @property
    def failed(self) -> tuple[Instance, ...]:
        """Those that cannot be used."""
        return tuple(one for one in self.instances if one.problem)

    def _of(self, section: str, name: str) -> Instance:
        found = next((one for one in self.instances if (one.section, one.name) == (section, name)), None)
        if found is None:
            raise PluginError(f"there is no table [{section}.{name}]")
        if found.problem:
            raise PluginError(f"[{section}.{name}] cannot be used: {found.problem}")
        return found


def load(tables: Iterable[Table], folder: Path, kit_of: KitOf, offered: Mapping[str, Offer | PluginError] | None = None) -> Plugins:
    """The plugins of the tables, the shipped log, and the installed observers that need no table. Never raises: see `Plugins.failed`.

    *folder*: where the configuration file is. *offered*: `kinds.offers()`.
    """
    there = kinds.offers() if offered is None else offered
    wanted = list(tables)
    loaded = {name: _kind(name, there) for name in [*(table.plugin for table in wanted), *_by_themselves(there)]}
    made = [_alone(kind) for kind in loaded.values() if kind.target is not None and not kind.is_class]
    made += [
        Instance(OBSERVERS, name, name, problem=kind.problem)
        for name, kind in loaded.items()
        if kind.problem and _is_installed(name, there)
    ]
    made += [make(table, loaded[table.plugin], folder, kit_of) for table in wanted]
    return Plugins(tuple(made), tuple(loaded.values()))


def of_objects(*plugins: object) -> Plugins:
    """Plugins that are there as objects already. Raises PluginError when one is wrong."""
    return Plugins(tuple(Instance(OBSERVERS, f"object {number}", "", implementations.of(one)) for number, one in enumerate(plugins, 1)))


def make(table: Table, kind: Kind, folder: Path, kit_of: KitOf) -> Instance:
    """The instance of a table; never raises. Settings and constructor run in a thread that is left behind when they take too long."""
    found: dict[str, Implementation] = {}
    problem, mistakes = kind.problem, tuple[Mistake, ...]()
    if not problem:
        try:
            made = bounded.call(lambda: _instantiated(table, kind, folder, kit_of), MAKE, f"making plugin {table.label}")
            _assert_of_use(table, made)
            found = made
        except WrongSettings as error:
            problem, mistakes = str(error), error.mistakes
        except Exception as error:  # noqa: BLE001 - a vendor's code may raise anything
            problem = _why(error)
    return Instance(table.section, table.name, table.plugin, found, problem, mistakes)


def settings_model(kind: Kind) -> type[Any]:
    """The pydantic model of a class's settings. Raises PluginError when what bears the name is none."""
    from pydantic import BaseModel

    model = getattr(kind.target, "Settings", NoSettings) if kind.is_class else NoSettings
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginError(f"{kind.offer.value}.Settings is not a pydantic model")
    return model


def _instantiated(table: Table, kind: Kind, folder: Path, kit_of: KitOf) -> dict[str, Implementation]:
    read = settings.read(settings_model(kind), table.written, folder)
    if not isinstance(kind.target, type):
        # It is told of everything already, without a table: here it only acts, or produces.
        return {name: one for name, one in implementations.of(kind.target).items() if name not in implementations.OBSERVING}
    return implementations.of(kind.target(read, kit_of(table.section, table.name)))


def _assert_of_use(table: Table, found: Mapping[str, Implementation]) -> None:
    if table.section == PRODUCTS:
        missing = [name for name in implementations.NEEDED if name not in found]
        if missing:
            raise WrongSettings([Mistake((), None, f"plugin {table.plugin!r} is no product: it lacks {', '.join(missing)}")])
    elif not (implementations.ACTING.keys() | implementations.OBSERVING.keys()) & found.keys():
        why = f"plugin {table.plugin!r} has neither an acting nor an observing hook: it is of no use under [hooks.{table.name}]"
        raise WrongSettings([Mistake((), None, why)])


def _by_themselves(there: Mapping[str, Offer | PluginError]) -> list[str]:
    """The offers that are loaded without being asked for: an installed observer needs no table, as does the log."""
    return [name for name, offer in there.items() if name == "log" or not (isinstance(offer, Offer) and offer.shipped)]


def _is_installed(name: str, there: Mapping[str, Offer | PluginError]) -> bool:
    offer = there.get(name)
    return offer is not None and not (isinstance(offer, Offer) and offer.shipped)


def _kind(name: str, there: Mapping[str, Offer | PluginError]) -> Kind:
    offer = there.get(name)
    if isinstance(offer, Offer):
        return kinds.load(offer)
    names = ", ".join(name for name, one in there.items() if isinstance(one, Offer))
    return Kind(Offer(name, "", "", ""), problem=str(offer) if offer else f"there is no plugin {name!r}: there are {names}")


def _alone(kind: Kind) -> Instance:
    name = kind.offer.name
    try:
        found = bounded.call(lambda: implementations.of(kind.target), MAKE, f"looking at plugin {name}")
    except Exception as error:  # noqa: BLE001 - a vendor's object may raise when it is looked at
        return Instance(OBSERVERS, name, name, problem=_why(error))
    return Instance(OBSERVERS, name, name, found)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, PluginError | bounded.Late) else f"{type(error).__name__}: {error}"
