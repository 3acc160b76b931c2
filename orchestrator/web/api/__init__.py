"""The REST API: a module for each kind of thing, all under /api/v1."""

from fastapi import APIRouter, FastAPI

from orchestrator.web.api import acting, audit, events, plugins, points, policies, pools, preparing, recover, runs, standing, windows
from orchestrator.web.api.guard import Guard
from orchestrator.web.office import Office

PREFIX = "/api/v1"
ROUTERS: tuple[APIRouter, ...] = (
    acting.router,
    audit.router,
    events.router,
    pools.router,
    preparing.router,
    runs.router,
    points.router,
    policies.router,
    windows.router,
    plugins.router,
    recover.router,
    standing.router,
)  # a new module is a line here; each of its routes takes Reads, Operates or Administers (tests/web/test_scopes.py holds it to that)


def install(app: FastAPI, office: Office) -> None:
    """Add the API to the app."""
    app.state.office = office
    app.add_middleware(Guard, office=office, prefix=f"{PREFIX}/")
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
