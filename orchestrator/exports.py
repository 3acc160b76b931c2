"""Files with all that the rows hold: a consistent whole, written to a name of its own first and read by nobody who finds a byte amiss.

The first line says what it is, the last one how many rows of which table there are. Every line bears a checksum of all lines up to it, so
that what is missing, doubled or changed is found at its line. *.gz is compressed.
"""

import contextlib
import gzip
import os
import tempfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Table

from orchestrator import presence
from state import moving, schema, standing
from state.moving import Shape
from state.store import Session, Store

FORMAT = 1
LONGEST = 256 << 20  # bytes of a line: a run's data is a few thousand
AT_ONCE, BYTES_AT_ONCE = 2000, 4 << 20  # rows, and bytes of their lines, that are in memory
LEVEL = 4  # of gzip: a tenth larger than the best, in a third of the time


class Unfit(Exception):
    """The file cannot be read or written, or what is in it cannot be put where it is to go; the text says why, and what to do."""


class AtWork(Exception):
    """Processes serve on this database: what they do meanwhile would be done twice, or not at all."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was written or read: rows by table, and *alive*: the processes that served meanwhile."""

    rows: dict[str, int]
    schema: str
    alive: Sequence[str] = ()


def write(store: Store, path: Path, *, now: datetime, version: str, while_running: bool = False) -> Moved:
    """Write all rows as they stand at one moment; mode 0600. Raises `Unfit`, `AtWork` unless *while_running*, and `Away`."""
    if path.exists():
        raise Unfit(f"{path} is there already: write another name, or remove it first")
    counted: dict[str, int] = {}
    with _fresh(path) as file, store.read() as session:
        alive = _alive(session, now)
        if alive and not while_running:
            raise AtWork(_in_words(alive, now))
        _assert_ours(session, store)
        moving.take_time(session)
        shapes = moving.shapes()
        lines = _Writer(file)
        lines.add({
            "vfo": "export", "format": FORMAT, "schema": schema.HEAD, "version": version, "at": now,
            "tables": {shape.table: shape.columns for shape in shapes},
        })  # fmt: skip
        for shape in shapes:
            counted[shape.table] = 0
            for row in moving.rows(session, shape, now=now):
                lines.add([shape.table, *row])
                counted[shape.table] += 1
        lines.add({"end": counted})
        if not while_running:
            _assert_nobody(store, now)
    return Moved(counted, schema.HEAD, [held.name for held in alive])


def read(store: Store, path: Path, *, now: datetime) -> Moved:
    """Put all rows of the file into a database that has none, whole or not at all. Raises `Unfit`, `AtWork` and `Away`."""
    lines = _Reader(path)
    with contextlib.closing(lines.rows()) as rows:
        shapes, made_by = _understood(path, next(rows))
        with store.write() as session:
            if alive := _alive(session, now):
                raise AtWork(_in_words(alive, now))
            _assert_ours(session, store)
            moving.take_time(session)
            moving.keep_others_out(session)
            if there := moving.occupied(session):
                raise Unfit(f"the database {store.name} has rows already ({', '.join(there)}): import into one that is empty")
            if made_by != schema.HEAD:
                schema.move(session.connection(), made_by)
            said = _put_all(session, shapes, rows, lines)
            if made_by != schema.HEAD:
                schema.move(session.connection(), schema.HEAD)
            moving.settle(session)
            found = moving.counts(session.connection(), list(said))
            if found != said:
                raise Unfit(f"{path}: the database has {found}, the file says {said}: nothing was imported")
    return Moved(said, made_by)


def _put_all(session: Session, shapes: dict[str, Shape], rows: Iterator[Any], lines: "_Reader") -> dict[str, int]:
    """Put the rows, a few at a time; what the last line says of them."""
    made: dict[str, Table] = {name: shape.made() for name, shape in shapes.items()}
    counted = dict.fromkeys(shapes, 0)
    for name, some in _batches(rows, lines, shapes):
        try:
            moving.put(session, made[name], shapes[name], some)
        except moving.Odd as error:
            raise lines.amiss(f"a row of {name} among the last {len(some)} lines cannot be: {error}") from error
        counted[name] += len(some)
    said: dict[str, int] = lines.end or {}
    if said != counted:
        raise lines.amiss(f"the file had {counted} rows, and says that it has {said}")
    return counted


def _batches(rows: Iterator[Any], lines: "_Reader", shapes: dict[str, Shape]) -> Iterator[tuple[str, list[list[Any]]]]:
    some: list[list[Any]] = []
    name, began = "", 0
    for row in rows:
        if not isinstance(row, list) or not row or row[0] not in shapes or len(row) != len(shapes[row[0]].columns) + 1:
            raise lines.amiss("it is no row of a table")
        if some and (row[0] != name or len(some) >= AT_ONCE or lines.read - began >= BYTES_AT_ONCE):
            yield name, some
            some, began = [], lines.read
        name = row[0]
        some.append(row[1:])
    if some:
        yield name, some


class _Writer:
    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._sum = 0

    def add(self, value: Any) -> None:
        said = moving.packed(value)
        self._sum = zlib.crc32(said, self._sum)
        self._file.write(b'["%08x",%b]\n' % (self._sum, said))


class _Reader:
    """*read*: bytes so far. *end*: what the last line says, once the rows are through."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self.read = 0
        self.end: dict[str, int] | None = None

    def amiss(self, problem: str) -> Unfit:
        """An error about the line at hand."""
        return Unfit(f"{self._path}: line {self._line}: {problem}: nothing was imported; export again")

    def rows(self) -> Generator[Any, None, None]:
        """What each line says, but for the last one. Raises `Unfit` at the first that is not as it was written."""
        total = 0
        with self._opened() as file:
            while self.end is None:
                self._line += 1
                line = self._next(file)
                said = line[12:-2]
                total = zlib.crc32(said, total)
                if line != b'["%08x",%b]\n' % (total, said):
                    raise self.amiss("it is no export of vfo" if self._line == 1 else "it, or what was before it, is not as it was written")
                value = orjson.loads(said)
                if isinstance(value, dict) and "end" in value:
                    self.end = value["end"]
                else:
                    yield value
            self._line += 1
            if self._next(file, may_end=True):
                raise self.amiss("there is more after the end")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[BufferedIOBase]:
        try:
            plain = self._path.open("rb")
        except OSError as error:
            raise Unfit(f"{self._path} cannot be read: {error.strerror}") from None
        with plain:
            if self._path.suffix != ".gz":
                yield plain
                return
            with gzip.GzipFile(fileobj=plain) as unpacked:
                yield unpacked

    def _next(self, file: BufferedIOBase, *, may_end: bool = False) -> bytes:
        try:
            line = file.readline(LONGEST)
        except (EOFError, zlib.error, OSError) as error:
            raise self.amiss(f"it cannot be read ({error})") from None
        if not line.endswith(b"\n") and not (may_end and not line):
            raise self.amiss("the file ends before its end" if len(line) < LONGEST else "the line is too long")
        self.read += len(line)
        return line


def _understood(path: Path, said: Any) -> tuple[dict[str, Shape], str]:
    """The tables that the first line names, and the schema they are of."""
    if not isinstance(said, dict) or said.get("vfo") != "export":
        raise Unfit(f"{path}: line 1: it is no export of vfo")
    by = f"it was written by vfo {said.get('version')}"
    if not isinstance(said.get("format"), int) or said["format"] > FORMAT:
        raise Unfit(
            f"{path}: line 1: format {said.get('format')}, this version reads {FORMAT} at most: {by}; import with that or a newer one"
        )
    made_by = str(said.get("schema"))
    if made_by not in schema.versions():
        raise Unfit(f"{path}: line 1: schema {made_by}, this version has {schema.HEAD}: {by}; import with that or a newer one")
    try:
        return {shape.table: shape for shape in moving.of_header(said["tables"])}, made_by
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise Unfit(f"{path}: line 1: its tables are none that this version knows: {error}") from None


@contextlib.contextmanager
def _fresh(path: Path) -> Iterator[BufferedIOBase]:
    """A file that has its name when the block ends well, and is gone else; nobody but its owner reads it."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}-", suffix=".part")
    except OSError as error:
        raise Unfit(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as plain:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=plain) as packed:
                    yield packed
            else:
                yield plain
            plain.flush()
            os.fsync(plain.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise Unfit(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _alive(session: Session, now: datetime) -> list[standing.Held]:
    return [one for one in standing.held(session, now=now) if one.name.startswith(presence.PREFIX) and one.is_held]


def _assert_ours(session: Session, store: Store) -> None:
    """A newer version's database can be worked on, but what this version does not know of it would stay behind."""
    if (found := schema.revision(session.connection())) != schema.HEAD:
        raise Unfit(f"the database {store.name} has schema {found}, this version moves {schema.HEAD}: use the vfo that brought it there")


def _assert_nobody(store: Store, now: datetime) -> None:
    """A process that began meanwhile changes what was written."""
    with store.read() as session:
        if alive := _alive(session, now):
            raise AtWork(_in_words(alive, now))


def _in_words(alive: Sequence[standing.Held], now: datetime) -> str:
    named = [str(presence.read(one.holder).get("process", one.name)) for one in alive]
    longest = max(one.until - now for one in alive).total_seconds()
    return f"{', '.join(sorted(named))} serves on this database: stop it first; one that was killed counts for {longest:.0f} s yet"
