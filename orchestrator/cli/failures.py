"""The one place where the command line turns an exception into what a person reads."""

import contextlib
import re
import sys
from collections.abc import Iterator

from orchestrator.actions.failures import NotSo, WrongInput

__all__ = ["NotSo", "WrongInput", "told"]


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Print what went wrong, a line each, and exit: 2 for wrong input, 1 for what is not so, or a pool that does not answer."""
    from orchestrator.config.errors import ConfigError
    from orchestrator.names import WrongName
    from plugins.errors import PluginError
    from workflows.ports import PoolError

    try:
        yield
    except ConfigError as error:
        _stop(error.lines, 2)
    except (WrongInput, WrongName, PluginError) as error:
        _stop(str(error).split("\n"), 2)
    except PoolError as error:
        _stop([f"{_in_words(type(error).__name__)}: {error}"], 1)
    except NotSo as error:
        _stop(str(error).split("\n"), 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        rows = sys.modules.get("state.store")  # a command that never loaded it has not lost the database
        if rows is None or not isinstance(error, rows.Away):
            raise
        _stop([str(error)], 1)


def _in_words(name: str) -> str:
    """A class's name as words: LockedOut is "locked out"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _stop(lines: list[str], code: int) -> None:
    for line in lines:
        sys.stderr.write(f"vfo: {line}\n")
    sys.exit(code)
