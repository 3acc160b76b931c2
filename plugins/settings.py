"""A plugin's own settings: its pydantic model filled from its table, every mistake told with the key it stands under.

A field of the type `SecretStr` (pydantic) is a secret: whoever writes the table gives `passphrase`, or `passphrase_file` (a path; relative
to the configuration file), or `passphrase_env` (the name of an environment variable), and the model gets `passphrase` in any case.
"""

import os
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError, ValidationInfo

WAYS = ("_file", "_env")
LIKE_SECRETS = re.compile(r"pass|secret|token|credential|key", re.IGNORECASE)
PASSWORD_IN_URL = re.compile(r"(//[^/@\s:]*):[^/@\s]*@")
Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseModel):
    """What a plugin's settings are derived from: unknown keys are errors, nothing changes after it was read, no error shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NoSettings(Settings):
    """The settings of a plugin that has none."""


def _beside(value: Path, info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", ".")) / value.expanduser()


BesideConfig = Annotated[Path, AfterValidator(_beside)]
"""A path that is relative to the configuration file."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong: *where* in the table (keys; empty: the whole), the *value* as it may be shown (None: it may not), what to do."""

    where: tuple[str | int, ...]
    value: str | None
    text: str

    def __str__(self) -> str:
        """As "key = value: text"."""
        name = ".".join(str(part) for part in self.where)
        return f"{name}{'' if self.value is None else f' = {self.value}'}{': ' if name else ''}{self.text}"


class WrongSettings(Exception):
    """The table cannot be used; *mistakes* says why, all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


def read(model: type[Model], written: Mapping[str, Any], folder: Path) -> Model:
    """The settings that a table gives; *folder*: where the configuration file is. Raises WrongSettings."""
    values, mistakes = dict(written), []
    spoilt = set()
    for name in secrets_of(model):
        mistake = _take(model, values, name, folder)
        if mistake:
            mistakes.append(mistake)
            spoilt.add(name)
    try:
        settings = model.model_validate(values, context={"folder": folder})
    except ValidationError as error:
        found = [_mistake(dict(problem), model, written) for problem in error.errors(include_url=False, include_context=False)]
        # What validators say of an empty secret that stands for one that could not be read is not so: it was given.
        raise WrongSettings([*mistakes, *(one for one in found if not spoilt or (one.where and one.where[0] not in spoilt))]) from None
    if mistakes:
        raise WrongSettings(mistakes)
    return settings


def secrets_of(model: type[BaseModel]) -> list[str]:
    """The names of the model's fields that are secrets."""
    return [field.alias or name for name, field in model.model_fields.items() if _is_secret(field.annotation)]


def _is_secret(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return any(_is_secret(part) for part in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, SecretStr)


def _take(model: type[BaseModel], values: dict[str, Any], name: str, folder: Path) -> Mistake | None:
    """Put the secret in its place, whichever way it was given; what is wrong with that."""
    ways = [name, *(name + way for way in WAYS if name + way not in model.model_fields)]
    given = [way for way in ways if way in values]
    if len(given) > 1:
        for way in given:
            values.pop(way)
        values[name] = ""
        return Mistake((name,), None, f"give at most one of {', '.join(ways)} (given: {', '.join(given)})")
    if not given:
        field = next(field for key, field in model.model_fields.items() if name in (key, field.alias))
        if not field.is_required():
            return None
        values[name] = ""
        return Mistake((name,), None, f"it is needed: give one of {', '.join(ways)}")
    if given == [name]:
        return None
    written, (way,) = values.pop(given[0]), given
    values[name], text = _secret(written, way.removeprefix(name), folder)
    return Mistake((way,), repr(written), text) if text else None


def _secret(written: object, way: str, folder: Path) -> tuple[str, str]:
    """The secret, and what is wrong with where it was to be found."""
    if not isinstance(written, str) or not written:
        return "", f"write the {'path of a file' if way == '_file' else 'name of an environment variable'}"
    if way == "_env":
        return os.environ.get(written, ""), "" if written in os.environ else "there is no such environment variable"
    try:
        return (folder / Path(written).expanduser()).read_text(encoding="utf-8").rstrip("\r\n"), ""
    except FileNotFoundError:
        return "", "there is no such file"
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        return "", f"it cannot be read: {error}"


def _mistake(problem: dict[str, Any], model: type[BaseModel], written: Mapping[str, Any]) -> Mistake:
    where: tuple[str | int, ...] = problem["loc"]
    hints = {"extra_forbidden": _known(model) if len(where) == 1 else "there is no such setting", "missing": "it is needed"}
    return Mistake(where, _shown(where, written), hints.get(problem["type"], problem["msg"].removeprefix("Value error, ")))


def _known(model: type[BaseModel]) -> str:
    secret = set(secrets_of(model))
    names = [f"{name} (or {name}_file, {name}_env)" if name in secret else name for name in model.model_fields]
    return f"there is no such setting; there are {', '.join(names) or 'none'}"


def _shown(where: tuple[str | int, ...], written: Any) -> str | None:
    """The value as it was written, but for what may be a secret and for whole tables."""
    if not where or LIKE_SECRETS.search(".".join(str(part) for part in where)):
        return None
    for part in where:
        if not isinstance(written, Mapping) or part not in written:
            return None
        written = written[part]
    return None if isinstance(written, Mapping) else PASSWORD_IN_URL.sub(r"\1:***@", repr(written))
