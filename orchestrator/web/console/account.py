"""One's own account: who one is, and another password."""

from fastapi import APIRouter, Response

from orchestrator.actions.failures import WrongInput
from orchestrator.web import sign_in
from orchestrator.web.console.guards import Form, Owning, PageRoute, Reader, Visit
from orchestrator.web.console.pages import go_to
from state import users

router = APIRouter(route_class=PageRoute)


@router.get("/account")
def shown(visit: Reader, done: str = "") -> Response:
    """Who one is, and the form for another password."""
    return _page(visit, done="The password is another one now. Whoever was signed in by your name elsewhere is so no more." if done else "")


@router.post("/account/password")
def change(visit: Owning, sent: Form) -> Response:
    """Another password, for who knows the old one. This browser stays signed in, by a new id."""
    counter, request = visit.counter, visit.request
    if sent.get("password", "") != sent.get("again", ""):
        return _page(visit, problem="The two new passwords are not the same.", status=422)
    address = request.client.host if request.client else ""
    try:
        with visit.ask.written_down("user-password", visit.signed.principal.name):
            signed = sign_in.change_password(counter.office, visit.signed, sent.get("old", ""), sent.get("password", ""), address)
    except (sign_in.TooMany, sign_in.Denied, WrongInput) as error:
        return _page(visit, problem=f"{str(error)[:1].upper()}{str(error)[1:]}.", status=422)
    answer = go_to(request, "/account?done=yes")
    answer.set_cookie(counter.cookie, signed.session_id, path="/", secure=counter.secure, httponly=True, samesite="lax")
    return answer


def _page(visit: Visit, *, done: str = "", problem: str = "", status: int = 200) -> Response:
    with visit.counter.office.store.read() as session:
        user = users.get(session, visit.signed.principal.name)
    return visit.page("account.html", status=status, problem=problem, done=done, user=user, ends_at=visit.signed.ends_at)
