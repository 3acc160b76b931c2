"""The files that pages refer to, all of them in the package."""

import mimetypes

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from orchestrator.web.console.pages import STATIC

router = APIRouter()
FILES = {path.name: path for path in STATIC.iterdir() if path.is_file()}
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}


@router.get("/static/{name}")
def file(name: str) -> Response:
    """One of them by its name: there is no path to go up by. Its address changes with its content, so it is kept for a year."""
    path = FILES.get(name)
    if path is None:
        raise HTTPException(404)
    kind = KINDS.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(path.read_bytes(), media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})


@router.get("/favicon.ico")
def icon() -> Response:
    """What some browsers ask for, whatever the page says."""
    return file("favicon.svg")
