"""Objects as people name them."""

from orchestrator.simulator.database import Database


class ControlError(Exception):
    """An order that cannot be carried out; the text names the thing and its value."""


def find(db: Database, cls: str, named: str) -> str:
    """The one object of the class with this name, uuid or ref."""
    if db.exists(cls, named):
        return named
    by_uuid = db.by_uuid(cls, named)
    if by_uuid is not None:
        return by_uuid
    refs = db.by_name(cls, named)
    if len(refs) != 1:
        raise ControlError(f"{cls}: {'nothing is' if not refs else f'{len(refs)} objects are'} named {named!r}")
    return refs[0]
