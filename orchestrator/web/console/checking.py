"""What is wrong with what was answered in the steps to a policy, by the words of the configuration file."""

from collections.abc import Mapping
from typing import Any

from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import WrongInput, WrongTable
from orchestrator.config import written as tables
from orchestrator.config.errors import Mistake, Mistaken
from orchestrator.web.console.models import wizard as model
from orchestrator.web.console.models.wizard import Answers

UNNAMED = "unnamed"
NOBODY = "say which VMs: names, tags, a folder, a power state or pools; * as a name is every VM"
NO_NUMBER = "Input should be a valid integer"  # pydantic's words, which are no advice


def wrong(at: Desk, answers: Answers, base: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong, by field; "" holds what no field asks for. No pool is asked."""
    settings, known = at.loaded.settings, at.policy.backups
    found = model.own_mistakes(answers, list(known.policies), list(settings.policies), list(known.windows))
    windows = [*known.windows, *([answers.window] if answers.makes_window else [])]
    if answers.makes_window:
        try:
            tables.window(answers.window or UNNAMED, model.window(answers))
        except Mistaken as error:
            for one in error.mistakes:
                found.setdefault(model.field_of_window(one.key), one.text)
        except tables.WrongName as error:
            found.setdefault("window_name", str(error))
    try:
        tables.policy(settings, windows, answers.one("name") or UNNAMED, model.policy(answers, base))
    except Mistaken as error:
        for one in error.mistakes:
            found.setdefault(model.field_of(one.key), _advice(one))
    except tables.WrongName as error:
        found.setdefault("name", str(error))
    return found


def told(error: WrongInput) -> dict[str, str]:
    """What was said of it when it was to be written, by field."""
    if not isinstance(error, WrongTable):
        return {"name" if error.option == "name" else "": error.text}
    of = model.field_of_window if error.where.startswith("windows.") else model.field_of
    return {of(one.key): _advice(one) for one in error.mistakes}


def _advice(one: Mistake) -> str:
    if one.key == "vms":
        return NOBODY
    return "write a whole number" if one.text.startswith(NO_NUMBER) else one.text
