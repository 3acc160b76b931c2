"""What went wrong, as RFC 9457 has it: one place turns exceptions into answers, none of which says more than a person may know."""

import http
import logging
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from orchestrator.actions.failures import NotSo, Outdated, WrongInput, WrongTable
from orchestrator.config.errors import ConfigError
from orchestrator.names import WrongName
from orchestrator.xapi import haste
from plugins.errors import PluginError
from state.store import Away
from workflows.ports import PoolError

logger = logging.getLogger(__name__)

MEDIA = "application/problem+json"
CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "wrong-media-type"}


class ProblemDetails(BaseModel):
    """An answer that is an error. *code* is stable and for programs, *detail* for people; *type* is urn:vfo:problem: and the code."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str


class Problem(Exception):
    """An error to be answered."""

    def __init__(self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.more = dict(headers or {}), more


def answer(problem: Problem) -> Response:
    """The problem as HTTP has it."""
    return Response(body(problem), problem.status, {**problem.headers, "Cache-Control": "no-store"}, MEDIA)


def body(problem: Problem) -> bytes:
    """Its JSON."""
    title = http.HTTPStatus(problem.status).phrase
    said = {"type": f"urn:vfo:problem:{problem.code}", "title": title, "status": problem.status, "code": problem.code}
    return orjson.dumps({**said, "detail": problem.detail, **problem.more}, default=str)


def of(error: Exception) -> Problem:
    """What an exception is to who asked. Whatever is not known here is a mistake of ours: the log says which, the answer does not."""
    for kind, said in KNOWN.items():
        if isinstance(error, kind):
            return said(error)
    return Problem(500, "internal", "something went wrong in vfo itself: its log says what")


def _of_input(error: WrongInput) -> Problem:
    if not error.option:
        return Problem(422, "wrong-input", str(error))
    return Problem(422, "wrong-input", error.text, option=error.option)


def _of_pool(error: PoolError) -> Problem:
    text = str(error) if error.code == haste.CODE else f"the pool does not do it: {error}"
    return Problem(503, "pool-away", text, headers={"Retry-After": "10"})


def _of_table(error: WrongTable) -> Problem:
    """With every mistake, for a form that marks each field."""
    mistakes = [{"key": one.key, "text": one.text} for one in error.mistakes]
    return Problem(422, "wrong-input", error.text, option=error.option, mistakes=mistakes)


def _of_http(error: HTTPException) -> Problem:
    return Problem(error.status_code, CODES.get(error.status_code, "http"), str(error.detail), headers=error.headers)


def _of_shape(error: RequestValidationError) -> Problem:
    """Where each mistake is and what it is; never what was given, which may be a secret."""
    errors = [{"where": ".".join(str(part) for part in one["loc"]), "what": str(one["msg"])} for one in error.errors()]
    return Problem(422, "invalid", "the request is not of the shape that it is to have", errors=errors)


KNOWN: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda error: error,
    WrongTable: _of_table,
    Outdated: lambda error: Problem(412, "outdated", str(error), revision=error.revision),
    WrongInput: _of_input,
    WrongName: lambda error: Problem(422, "wrong-name", str(error)),
    NotSo: lambda error: Problem(409, "not-so", str(error)),
    ConfigError: lambda error: Problem(422, "configuration", "\n".join(error.lines)),
    PluginError: lambda error: Problem(502, "plugin", str(error)),
    PoolError: _of_pool,
    Away: lambda _: Problem(503, "database-away", "the database is away: try again in a moment", headers={"Retry-After": "5"}),
    RequestValidationError: _of_shape,
    HTTPException: _of_http,
}


def install(app: FastAPI) -> None:
    """Have the app answer so."""

    def handle(_request: Request, error: Exception) -> Response:
        return answer(of(error))

    def fail(request: Request, error: Exception) -> Response:
        problem = of(error)
        if problem.status == 500:
            logger.error("%s %s failed", request.method, request.scope.get("path"), exc_info=error)
        return answer(problem)

    for kind in KNOWN:
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(Exception, fail)
