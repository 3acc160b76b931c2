"""When a VM that runs may be shut down."""

from orchestrator.actions.failures import WrongInput
from orchestrator.config.load import Loaded
from workflows import downtime


def check(loaded: Loaded, when: str) -> None:
    """WrongInput when it is no moment, or there is no window to wait for: only the latter is the configuration's."""
    if problem := downtime.problem_with(when, loaded.settings.maintenance):
        where = f"{loaded.path}: " if downtime.is_moment(when) else ""
        raise WrongInput(f"--when {when}: {where}{problem}")
