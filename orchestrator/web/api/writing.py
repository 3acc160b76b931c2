"""What the routes share that write policies and windows: the table, the revision that is changed, and the tag that says it."""

from typing import Annotated, Any

import orjson
from fastapi import Body, Header, Response

from orchestrator.actions.desk import Desk
from orchestrator.web.api.guard import ERRORS
from orchestrator.web.problems import MEDIA, ProblemDetails

Table = Annotated[dict[str, Any], Body(description="The table, with the keys that it has in the configuration file.")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match", max_length=200, description="The ETag of what is changed, or its revision; *: whichever. Left out: it is new."
    ),
]
OUTDATED: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    412: {"model": ProblemDetails, "content": {MEDIA: {}}, "description": "It was changed meanwhile, or is there already"},
}


def revision(written: str | None, desk: Desk, kind: str, name: str) -> str | None:
    """The revision that is meant."""
    if written is None:
        return None
    said = written.strip().removeprefix("W/").strip('"').partition(".")[0]
    if said != "*":
        return said
    one = desk.in_force.of(kind, name)
    return one.revision if one is not None else said


def tag(answer: Response, revision: str | None) -> None:
    """Say by which tag it may be changed."""
    if revision is not None:
        answer.headers["ETag"] = f'"{revision}"'


def tagged(answer: Response) -> Response:
    """The same of an answer that is made already."""
    tag(answer, orjson.loads(bytes(answer.body)).get("revision"))
    return answer
