"""Loads the plugins and calls them: a plugin that fails, at load or at call, is reported and hurts nobody else."""

import logging
from collections.abc import Iterable
from importlib.metadata import entry_points

import pluggy

from plugins import hooks, log
from plugins.errors import PluginError
from plugins.values import Happening, RunEnded, VFFreed, VFLeaked

logger = logging.getLogger(__name__)

_TELLS = {VFFreed: ("vf_freed", "freed"), VFLeaked: ("vf_leaked", "leaked"), RunEnded: ("run_ended", "ended")}


def load(extra: Iterable[object] = ()) -> pluggy.PluginManager:
    """The shipped plugins, those installed under the entry point group `vf_orchestrator`, and *extra* ones.

    Raises PluginError when one of the shipped or *extra* plugins is wrong; an installed one that fails to load is logged and left out.
    """
    manager = pluggy.PluginManager(hooks.GROUP)
    manager.add_hookspecs(hooks.Observing)
    for plugin in (log, *extra):
        _register(manager, plugin)
    for entry_point in entry_points(group=hooks.GROUP):
        try:
            _register(manager, entry_point.load(), entry_point.name)
        except Exception as error:  # noqa: BLE001 - a vendor's code may raise anything; it must not keep the daemon from starting
            logger.error("plugin %s is left out: %s", entry_point.name, error)  # noqa: TRY400 - its trace is the vendor's business
    return manager


def announce(manager: pluggy.PluginManager, happening: Happening) -> None:
    """Tell every observer, one by one: pluggy itself would stop at the first that raises."""
    hook_name, argument = _TELLS[type(happening)]
    for implementation in reversed(getattr(manager.hook, hook_name).get_hookimpls()):
        try:
            implementation.function(**{argument: happening} if argument in implementation.argnames else {})
        except Exception:
            logger.exception("plugin %s failed in %s", implementation.plugin_name, hook_name)


def _register(manager: pluggy.PluginManager, plugin: object, name: str | None = None) -> None:
    registered = manager.register(plugin, name)
    try:
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        manager.unregister(plugin)
        raise PluginError(f"plugin {registered}: {error}") from error
