"""The web application: the API, and the console where it is installed, behind one guard."""

import importlib.util
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from orchestrator.web import problems
from orchestrator.web.api import install as install_api
from orchestrator.web.headers import Guarded
from orchestrator.web.office import Office

CONSOLE = "orchestrator.web.console"


def create_app(office: Office) -> FastAPI:
    """The routes and what is answered when something goes wrong. To be served behind `guarded`."""
    app = FastAPI(
        title="VF Orchestrator",
        version=version("vf-orchestrator"),
        description="Looks after the SR-IOV virtual functions of XenServer and XCP-ng pools.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    install_api(app, office)
    if importlib.util.find_spec(CONSOLE) is not None:
        importlib.import_module(CONSOLE).install(app, office)
    return app


def guarded(office: Office) -> ASGIApp:
    """The application as it is served."""
    console = office.loaded.settings.console
    return Guarded(create_app(office), console.names, secure=console.certificate is not None)
