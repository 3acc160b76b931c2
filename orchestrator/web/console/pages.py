"""How a page is made: the templates, what every page has, and the answers that are no pages."""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.web.principal import Scope
from orchestrator.web.sign_in import SignedIn
from workflows.plan import Plan

HERE = Path(__file__).parent
STATIC = HERE / "static"
A_RUNS = re.compile(r"\([0-9a-f]{8}\)")  # in the name of a VM that a run makes for itself
NAVIGATION = (
    ("Overview", "/", "overview", Scope.READ),
    ("VFs", "/vfs", "vfs", Scope.READ),
    ("VMs", "/vms", "vms", Scope.READ),
    ("Runs", "/runs", "runs", Scope.READ),
    ("Backup", "/backup", "backup", Scope.READ),
    ("Pools", "/pools", "pools", Scope.READ),
    ("Plugins", "/plugins", "plugins", Scope.READ),
    ("People", "/people", "people", Scope.ADMIN),
    ("Audit", "/audit", "audit", Scope.ADMIN),
)
SCOPES = {Scope.READ: "may look", Scope.OPERATE: "may look and operate", Scope.ADMIN: "administrator"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation."""

    text: str
    href: str
    icon: str
    is_here: bool


class Page:
    """What the templates know of the page beside what it shows."""

    def __init__(self, request: Request, signed: SignedIn | None, versions: Mapping[str, str], problem: str = "") -> None:
        self.problem = problem
        self.csrf = signed.csrf if signed else ""
        self.who = signed.principal.name if signed else ""
        self.scope_words = SCOPES[signed.principal.scope] if signed else ""
        self.is_piece = "hx-request" in request.headers
        self.may_operate = signed is not None and signed.principal.scope.covers(Scope.OPERATE)
        self.may_administer = signed is not None and signed.principal.scope.covers(Scope.ADMIN)
        self.navigation = [
            Entry(text, href, icon, is_here=_is_under(request.url.path, href))
            for text, href, icon, needed in NAVIGATION
            if signed is not None and signed.principal.scope.covers(needed)
        ]
        self._versions = versions

    def asset(self, name: str) -> str:
        """The address of a file of ours, other whenever its content is: so browsers may keep it."""
        return f"/static/{name}?v={self._versions[name]}"


def _is_under(path: str, href: str) -> bool:
    return path == href or (href != "/" and path.startswith(f"{href}/"))


class Pages:
    """The templates, read once; every value is escaped, and one that a template misspells is an error."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters.update(
            iso=iso, utc=utc, clock=clock, day=day, mark=mark, pretty=pretty, capitalize_first=capitalize_first, seen=seen
        )  # fmt: skip
        self._versions = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in STATIC.iterdir() if path.is_file()
        }  # fmt: skip

    def draw(self, template: str, **shown: Any) -> str:
        """A piece of a page that needs nothing of the page."""
        return self._templates.get_template(template).render(**shown)

    def answer(
        self, request: Request, signed: SignedIn | None, template: str, *, status: int = 200, problem: str = "", **shown: Any
    ) -> HTMLResponse:
        """The page."""
        page = Page(request, signed, self._versions, problem)
        return HTMLResponse(self._templates.get_template(template).render(page=page, **shown), status, {"Referrer-Policy": "same-origin"})


def iso(moment: datetime) -> str:
    """As machines read it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(moment: datetime) -> str:
    """As people read it until their browser has put it in their own zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(moment: datetime) -> str:
    """The time of day alone, where there is little room."""
    return moment.astimezone(UTC).strftime("%H:%M UTC")


def day(moment: datetime) -> str:
    """The day, as people read it."""
    return f"{moment:%a %d %b}"


def mark(text: str) -> str:
    """Another one for another text: by it a page that is open knows what of it has changed."""
    return f"{zlib.crc32(text.encode()):08x}"


def pretty(value: Any) -> str:
    """Plain JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def capitalize_first(text: str) -> str:
    """A sentence that begins as one."""
    return text[:1].upper() + text[1:]


def seen(plans: Sequence[Plan]) -> str:
    """What a consent carries of the plans that were shown: whether they are others by now is known by it. A run's number is none of it."""
    said = [(plan.title, plan.sentences, plan.calls, plan.refusals) for plan in plans]
    return hashlib.sha256(A_RUNS.sub("", json.dumps(said)).encode()).hexdigest()


def go_to(request: Request, href: str) -> Response:
    """Go there. A piece that htmx asked for would be put into the page, so the whole page is to go."""
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": href})
    return RedirectResponse(href, 303)


def own_path(written: str) -> str:
    """Where to go after signing in: a path of ours, whatever was written."""
    safe = written.startswith("/") and not written.startswith(("//", "/\\")) and written.isprintable() and "\\" not in written
    return written if safe else "/"
