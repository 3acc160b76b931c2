"""Who may sign in, and which programs may use the REST API: what `vfo user` and `vfo token` do."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response

from orchestrator.actions import tokens, users
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.actions.place import Place
from orchestrator.web.console.guards import Administering, Administrator, Form, PageRoute, Visit
from orchestrator.web.console.pages import go_to
from orchestrator.web.principal import Scope
from orchestrator.web.problems import Problem

router = APIRouter(route_class=PageRoute)

SCOPES = [
    (Scope.READ, "read: look at everything"),
    (Scope.OPERATE, "operate: also begin, approve, cancel"),
    (Scope.ADMIN, "admin: everything"),
]
LASTS = {"30d": ("30 days", timedelta(days=30)), "90d": ("90 days", timedelta(days=90)), "365d": ("a year", timedelta(days=365)),
         "never": ("until it is revoked", None)}  # fmt: skip
Name = Annotated[str, Path(max_length=64)]


@router.get("/people")
def listed(visit: Administrator) -> Response:
    """The users and the tokens."""
    return _listed(visit)


@router.post("/people/users")
def add(visit: Administering, sent: Form) -> Response:
    """A new user."""
    name = sent.get("name", "").strip()[:200]
    try:
        with visit.ask.written_down("user-add", name):
            _assert_same(sent)
            users.add(_place(visit), users.Wanted(name, sent.get("password", ""), _scope(sent)))
    except WrongInput as error:
        return _listed(visit, problem=_sentence(error), status=422, typed={"user": name, "scope": sent.get("scope", "")})
    return go_to(visit.request, "/people")


@router.get("/people/users/{name}")
def one(visit: Administrator, name: Name) -> Response:
    """What may be done with a user."""
    return _one(visit, name)


@router.post("/people/users/{name}/{verb}")
def change(visit: Administering, name: Name, verb: str, sent: Form) -> Response:
    """Another scope or password, or the end of them as a user. They are signed out wherever they are."""
    what = {"scope": "user-scope", "password": "user-password", "remove": "user-remove"}.get(verb)
    if what is None:
        raise Problem(404, "not-found", "There is nothing of that name that may be done with a user.")
    try:
        with visit.ask.written_down(what, name):
            if verb == "scope":
                users.set_scope(_place(visit), name, _scope(sent))
            elif verb == "password":
                _assert_same(sent)
                users.set_password(_place(visit), name, sent.get("password", ""))
            else:
                _assert_consent(sent)
                users.remove(_place(visit), name)
    except (WrongInput, NotSo) as error:
        return _one(visit, name, problem=_sentence(error), status=409 if isinstance(error, NotSo) else 422)
    return go_to(visit.request, "/people")


@router.post("/people/tokens")
def create(visit: Administering, sent: Form) -> Response:
    """A new token, whose secret this answer alone has."""
    name = sent.get("name", "").strip()[:200]
    try:
        with visit.ask.written_down("token-create", name):
            secret, row = tokens.create(_place(visit), name, _scope(sent), _lasts(sent))
    except WrongInput as error:
        return _listed(visit, problem=_sentence(error), status=422, typed={"token": name, "scope": sent.get("scope", "")})
    return visit.page("token.html", token=row, secret=secret)


@router.get("/people/tokens/{name}")
def token(visit: Administrator, name: Name) -> Response:
    """What ending a token means, with the button that consents to it."""
    found = next((row for row in tokens.listed(_place(visit)) if row["name"] == name), None)
    if found is None:
        raise Problem(404, "no-such-token", "There is no token of that name: it may have been revoked meanwhile.")
    return visit.page("token.html", token=found, secret="")


@router.post("/people/tokens/{name}/revoke")
def revoke(visit: Administering, name: Name, sent: Form) -> Response:
    """It opens nothing from now on."""
    with visit.ask.written_down("token-revoke", name):
        _assert_consent(sent)
        tokens.revoke(_place(visit), name)
    return go_to(visit.request, "/people")


def _place(visit: Visit) -> Place:
    return visit.counter.office.place(visit.signed.principal)


def _listed(visit: Visit, *, problem: str = "", status: int = 200, typed: Mapping[str, str] | None = None) -> Response:
    office, place = visit.counter.office, _place(visit)
    return visit.page("people.html", status=status, problem=problem, users=users.listed(place), tokens=tokens.listed(place), scopes=SCOPES,
                      lasts=[(key, text) for key, (text, _) in LASTS.items()], typed=typed or {}, now=office.clock(),
                      by_pool=office.loaded.settings.console.login == "pool")  # fmt: skip


def _one(visit: Visit, name: str, *, problem: str = "", status: int = 200) -> Response:
    found = next((row for row in users.listed(_place(visit)) if row["name"] == name), None)
    if found is None:
        raise Problem(404, "no-such-user", "There is no user of that name: they may have been removed meanwhile.")
    return visit.page("user.html", status=status, problem=problem, user=found, scopes=SCOPES)


def _scope(sent: Mapping[str, str]) -> str:
    """Raises WrongInput."""
    if sent.get("scope") not in set(Scope):
        raise WrongInput("what they may do: choose read, operate or admin")
    return sent["scope"]


def _lasts(sent: Mapping[str, str]) -> timedelta | None:
    """Raises WrongInput."""
    if sent.get("lasts") not in LASTS:
        raise WrongInput("how long it lasts: choose one of the list")
    return LASTS[sent["lasts"]][1]


def _assert_same(sent: Mapping[str, str]) -> None:
    if sent.get("password", "") != sent.get("again", ""):
        raise WrongInput("the two passwords are not the same")


def _assert_consent(sent: Mapping[str, str]) -> None:
    if sent.get("consent") != "yes":
        raise WrongInput("nothing was done: say that you want it by the box above the button")


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
