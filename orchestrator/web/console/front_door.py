"""Signing in and out."""

from fastapi import APIRouter, Request, Response

from orchestrator.web import sign_in
from orchestrator.web.console.counter import Counter
from orchestrator.web.console.guards import Form, PageRoute, counter_of
from orchestrator.web.console.pages import go_to, own_path

router = APIRouter(route_class=PageRoute)


@router.get("/login")
def door(request: Request, next: str = "/") -> Response:  # noqa: A002 - the word in the address
    """The form; who is signed in already goes on."""
    counter = counter_of(request)
    if sign_in.signed_in(counter.office, request.cookies.get(counter.cookie)) is not None:
        return go_to(request, own_path(next))
    answer = _door(request, counter, next)
    if (
        counter.cookie in request.cookies
    ):  # of a session that is over: a page that noticed that first comes here before signing out is answered
        _forget(answer, counter)
    return answer


@router.post("/login")
def enter(request: Request, fields: Form) -> Response:
    """Sign in. Whatever the browser brought, what it keeps is a new id."""
    counter = counter_of(request)
    name, after = fields.get("name", "").strip(), own_path(fields.get("next", "/"))
    address = request.client.host if request.client else ""
    try:
        signed = sign_in.sign_in(counter.office, name, fields.get("password", ""), address)
    except sign_in.TooMany as error:
        answer = _door(request, counter, after, name=name, status=429, problem=f"{error}.".capitalize())
        answer.headers["Retry-After"] = str(max(1, round(error.wait.total_seconds())))
        return answer
    except sign_in.Unavailable as error:
        return _door(request, counter, after, name=name, status=503, problem=f"{error}.".capitalize())
    except sign_in.Denied:
        return _door(request, counter, after, name=name, status=401, problem="The name or the password is wrong.")
    old = request.cookies.get(counter.cookie)
    if old:
        sign_in.sign_out(counter.office, old)
    answer = go_to(request, after)
    answer.set_cookie(counter.cookie, signed.session_id, path="/", secure=counter.secure, httponly=True, samesite="lax")
    return answer


@router.post("/logout")
def leave(request: Request, fields: Form) -> Response:
    """Sign out. A form without the session's secret signs nobody out."""
    counter = counter_of(request)
    signed = sign_in.signed_in(counter.office, request.cookies.get(counter.cookie))
    if signed is not None and sign_in.csrf_fits(signed, fields.get("csrf")):
        sign_in.sign_out(counter.office, signed.session_id)
    answer = go_to(request, "/login")
    _forget(answer, counter)
    return answer


def _forget(answer: Response, counter: Counter) -> None:
    answer.delete_cookie(counter.cookie, path="/", secure=counter.secure, httponly=True, samesite="lax")


def _door(request: Request, counter: Counter, after: str, *, name: str = "", status: int = 200, problem: str = "") -> Response:
    hint = (
        ""
        if counter.has_users()
        else "Nobody can sign in yet: `vfo user add NAME --scope admin`, typed where vfo serve runs, makes the first user."
    )
    return counter.pages.answer(
        request, None, "login.html", status=status, problem=problem, next=own_path(after), name=name[:200], hint=hint
    )  # fmt: skip
