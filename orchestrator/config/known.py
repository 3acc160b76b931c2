"""Which settings there are in a table of the configuration: said to who wrote one that there is not."""

import types
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def keys(model: type[BaseModel], where: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that may stand in the table at *where*, which is given as tomllib has it; () where nothing is known of it."""
    found: Any = model
    for part in where:
        found = _bare(_part(found, part))
    return tuple(found.model_fields) if _is_table(found) else ()


def _part(annotation: Any, key: str | int) -> Any:
    """What a key of a table holds, or whatever is in a dictionary or an array; None for anything else."""
    if _is_table(annotation):
        field = annotation.model_fields.get(str(key))
        return field.annotation if field else None
    inner = [one for one in get_args(annotation) if one is not Ellipsis]
    return inner[-1] if inner else None


def _bare(annotation: Any) -> Any:
    """The table, dictionary or array of a choice."""
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        parts = [_bare(part) for part in get_args(annotation)]
        return next((part for part in parts if _is_table(part) or get_origin(part) is not None), None)
    return annotation


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
