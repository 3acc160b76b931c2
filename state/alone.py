"""One writer at a time where something is read first and written then: what a row's own UPDATE cannot decide."""

from sqlalchemy import text
from sqlmodel import Session

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")


def at(session: Session, what: str) -> None:
    """From here to the end of the transaction nobody else is past this line with the same *what*; what others wrote before is seen.

    To be called before the first read that counts. SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(LOCK, {"what": what})
