"""The console: pages that show what the command line shows and ask for what it asks for, made on the server, live by its events."""

from fastapi import FastAPI

from orchestrator.web.console import (
    account,
    assets,
    backup,
    checks,
    files,
    front_door,
    live,
    overview,
    people,
    points,
    policies,
    pools,
    records,
    removing,
    runs,
    vfs,
    vms,
    wizard,
)
from orchestrator.web.console.counter import Counter
from orchestrator.web.office import Office

__all__ = ["install"]


def install(app: FastAPI, office: Office) -> Counter:
    """Add the console's pages to the app; what they have open ends with the office."""
    app.state.console = Counter(office)
    pages = (
        assets,
        front_door,
        overview,
        vfs,
        vms,
        runs,
        wizard,
        removing,
        policies,
        backup,
        points,
        files,
        checks,
        pools,
        people,
        account,
    )
    for module in (*pages, records, live):
        app.include_router(module.router, include_in_schema=False)
    counter: Counter = app.state.console
    return counter
