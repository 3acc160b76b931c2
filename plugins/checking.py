"""Holds one plugin to the contract: as a product where it produces, and in every acting hook that it has."""

import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from plugins import contract, contract_hooks, contract_products, implementations, manager, testing
from plugins.contract import Bench, Checked
from plugins.errors import PluginError
from plugins.implementations import Implementation
from plugins.kinds import Kind, Offer
from plugins.kit import Kit
from plugins.manager import HOOKS, PRODUCTS, Table
from plugins.testing import Sample

WITHIN, PATIENCE = timedelta(seconds=30), timedelta(minutes=2)


def check(
    plugin: object, written: Mapping[str, Any], folder: Path, sample: Sample | None = None, *, within: timedelta = WITHIN
) -> Iterator[Checked]:
    """Each check with what came of it, as it comes. *plugin*: its class or module; *written*: its table; *folder*: of the configuration.

    Raises PluginError when it cannot be loaded, or its settings are wrong. What it saved is forgotten at the end.
    """
    kind = Kind(Offer(getattr(plugin, "__name__", "it"), "", "", getattr(plugin, "__module__", "")), plugin)
    with tempfile.TemporaryDirectory(prefix="vfo-check-") as own:
        bench = Bench(lambda kit: made(kind, written, folder, kit), Path(own), sample or testing.sample(), within=within, patience=PATIENCE)
        hooks = bench.live().hooks
        yield Checked(f"it loads, with its settings: {', '.join(hooks)}", ok=True)
        if implementations.PRODUCING.keys() & hooks.keys():
            yield from contract.run(contract_products.CHECKS, bench)
            yield from contract.run([contract_products.clean_up], bench)
        yield from contract.run([one for one in contract_hooks.CHECKS if one.__name__ in hooks], bench)


def made(kind: Kind, written: Mapping[str, Any], folder: Path, kit: Kit) -> Mapping[str, Implementation]:
    """The plugin as a product or as a hook, whichever it is. Raises PluginError."""
    found = [
        manager.make(Table(section, kit.name, kind.offer.name, written), kind, folder, lambda *_: kit) for section in (PRODUCTS, HOOKS)
    ]
    good = next((one for one in found if not one.problem), None)
    if good is None:
        raise PluginError(found[0].problem)
    return good.hooks
