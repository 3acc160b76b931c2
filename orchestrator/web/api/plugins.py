"""Plugins, and the products that the configuration makes of them."""

from typing import Any

from fastapi import APIRouter

from orchestrator.actions import plugins as action
from orchestrator.actions.products import LISTS
from orchestrator.config.plugins import tables
from orchestrator.views import plugins as view
from orchestrator.web.api.guard import ERRORS, Reads
from orchestrator.web.api.shapes_backups import Plugins, Products
from plugins.manager import PRODUCTS

router = APIRouter(tags=["plugins"], responses=ERRORS)


@router.get("/plugins", response_model=Plugins)
def listed(ask: Reads) -> dict[str, Any]:
    """The plugins that are shipped or installed, and what the configuration makes of them."""
    loaded = ask.office.loaded
    found = action.listed(loaded.path, tables(loaded.settings.products, loaded.settings.hooks), loaded.lines)
    return {"items": [view.as_json(row) for row in found.rows], "complaints": list(found.complaints)}


@router.get("/products", response_model=Products)
def products(ask: Reads) -> dict[str, Any]:
    """The products of the configuration, and how they stand."""
    made = [one for one in ask.office.shelf.plugged().plugins.instances if one.section == PRODUCTS]
    items = [
        {
            "name": one.name,
            "plugin": one.plugin,
            "state": "failed" if one.problem else "ok",
            "why": one.problem,
            "hooks": sorted(one.hooks),
            "lists": LISTS in one.hooks,
        }
        for one in made
    ]
    return {"items": items}
