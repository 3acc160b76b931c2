"""Finds what a plugin implements, and whether it is what `plugins.hooks` says: pluggy's part in it."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pluggy

from plugins import hooks
from plugins.errors import PluginError

Call = Callable[..., Any]


def _names(page: type) -> dict[str, tuple[str, ...]]:
    """The hooks of a page, each with the names of its values."""
    found = {name: value for name, value in vars(page).items() if not name.startswith("_")}
    return {name: tuple(inspect.signature(value).parameters)[1:] for name, value in found.items()}


OBSERVING, ACTING, PRODUCING = (_names(page) for page in (hooks.Observing, hooks.Acting, hooks.Producing))
VALUES: Mapping[str, tuple[str, ...]] = OBSERVING | ACTING | PRODUCING
NEEDED = ("start_backup", "poll_backup", "cancel_backup")


@dataclass(frozen=True, slots=True)
class Implementation:
    """A plugin's function for a hook; it may leave values out that it does not want."""

    hook: str
    function: Call
    takes: tuple[str, ...]

    def __call__(self, *values: object) -> Any:
        """Call it with the hook's values, in the hook's order."""
        named = dict(zip(VALUES[self.hook], values, strict=True))
        return self.function(**{name: named[name] for name in self.takes})


def of(plugin: object) -> dict[str, Implementation]:
    """What the plugin implements, by hook. Raises PluginError for a hook that is none, for wrong values, for a forgotten mark."""
    manager = pluggy.PluginManager(hooks.GROUP)
    for page in (hooks.Observing, hooks.Acting, hooks.Producing):
        manager.add_hookspecs(page)
    try:
        manager.register(plugin, "it")
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PluginError(_in_words(plugin, error)) from None
    found = {name: getattr(manager.hook, name).get_hookimpls() for name in VALUES}
    for name, implementations in found.items():
        if any(one.hookwrapper or one.wrapper for one in implementations):
            raise PluginError(f"{name}: a wrapper (wrapper=True) would see other plugins' calls: write a plain function")
    _assert_marked(plugin, {name for name, implementations in found.items() if implementations})
    return {name: Implementation(name, ones[0].function, tuple(ones[0].argnames)) for name, ones in found.items() if ones}


def _in_words(plugin: object, error: Exception) -> str:
    unknown = [name for name in _marked(plugin) if name not in VALUES]
    if not unknown:
        return str(error).replace("\n", " ")
    said = []
    for name in unknown:
        near = difflib.get_close_matches(name, VALUES, n=1)
        said.append(f"there is no hook {name!r}" + (f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(VALUES)}"))
    return "; ".join(said)


def _marked(plugin: object) -> list[str]:
    return [name for name in dir(plugin) if hasattr(inspect.getattr_static(plugin, name, None), f"{hooks.GROUP}_impl")]


def _assert_marked(plugin: object, marked: set[str]) -> None:
    """A function with a hook's name that nobody would ever call is a mistake, and a silent one."""
    for name in sorted(set(VALUES) - marked):
        there = inspect.getattr_static(plugin, name, None)
        own = inspect.isfunction(there) and (not inspect.ismodule(plugin) or there.__module__ == plugin.__name__)
        if own:
            raise PluginError(
                f"{name} bears the name of a hook and not its mark: write @hookimpl above it (from plugins.hooks import hookimpl)"
            )
