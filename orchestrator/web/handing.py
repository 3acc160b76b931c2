"""A single file out of a restore point on its way to who asked for it: it is whole on this machine before its first byte goes."""

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse

from orchestrator.actions import files
from orchestrator.views.points import Owned
from orchestrator.web.ask import Ask

PIECE = 1 << 18
FETCH = "fetch-file"


def attached(ask: Ask, point: str, find: Callable[[], Owned], disk: str, path: str) -> Response:
    """The file, to be kept and never shown by a browser, whatever its name and bytes are; written down, also where it is refused.

    *point*: how the restore point is called for that. Raises as `files.fetched`, and Problem while other disks are read.
    """
    with ask.written_down(FETCH, f"{path} of disk {disk} of {point}"), ask.office.shelf.fetch() as made:
        owned = find()
        file = files.fetched(made, owned, disk, path, ask.office.shelf.bench)
    size, now, place = file.seek(0, os.SEEK_END), ask.office.clock(), ask.office.place(ask.principal)
    file.seek(0)
    ask.office.store.do(lambda session: files.note(session, place, owned, f"{path} of disk {disk}", size, now=now))
    name = quote(path.rstrip("/").rpartition("/")[2])
    headers = {"Content-Length": str(size), "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return StreamingResponse(_pieces(file), 200, headers, "application/octet-stream")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece
