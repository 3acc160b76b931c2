"""Pages of what is sorted in memory: a cursor says after which one the page begins, whatever has come or gone meanwhile."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson

from orchestrator.web.problems import Problem

T = TypeVar("T")
Place = tuple[str, ...]


def paged(
    items: Sequence[T], cursor: str | None, limit: int, place: Callable[[T], Place], *, upwards: bool = False
) -> tuple[Sequence[T], str | None]:  # fmt: skip
    """A page of *items*, which are sorted from the greatest *place* down, or *upwards*, and the cursor of the next. Raises Problem."""
    if cursor is not None:
        after = _read(cursor)
        items = [one for one in items if (place(one) > after if upwards else place(one) < after)]
    page = items[:limit]
    return page, _written(place(page[-1])) if len(items) > limit else None


def _written(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode()


def _read(cursor: str) -> Place:
    try:
        read = orjson.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        read = None
    if not isinstance(read, list) or not all(isinstance(part, str) for part in read):
        raise Problem(422, "bad-cursor", "this is no cursor of a page before: leave it out for the first page")
    return tuple(read)
