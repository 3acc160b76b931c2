"""Which VMs a policy means."""

from typing import Any

import pytest

from tests.workflows import fakes
from workflows.policies import Selection
from workflows.selection import selects

TAGGED, FOLDER, HALTED = {"tags": ("prod", "web")}, {"other_config": {"folder": "/prod/web"}}, {"power_state": "Halted"}


@pytest.mark.parametrize(
    ("selection", "fields", "taken"),
    [
        (Selection(), {}, True),
        (Selection(tags=frozenset({"prod", "db"})), TAGGED, True),
        (Selection(tags=frozenset({"db"})), TAGGED, False),
        (Selection(names=("db-*", "WEB-*")), {}, True),
        (Selection(names=("db-*",)), {}, False),
        (Selection(folder="/prod"), FOLDER, True),
        (Selection(folder="prod/web/"), FOLDER, True),
        (Selection(folder="/pro"), FOLDER, False),
        (Selection(folder="/"), {}, True),
        (Selection(power_state=frozenset({"Running"})), HALTED, False),
        (Selection(pools=frozenset({"other"})), {}, False),
        (Selection(exclude_names=("*-01",)), {}, False),
        (Selection(tags=frozenset({"prod"}), exclude_tags=frozenset({"web"})), TAGGED, False),
        (Selection(), {"is_template": True}, False),
        (Selection(), {"is_snapshot": True}, False),
        (Selection(), {"is_control_domain": True}, False),
    ],
)
def test_a_selection_takes_what_it_says_and_nothing_else(selection: Selection, fields: dict[str, Any], taken: bool) -> None:
    """All that is given must hold, any value of a field will do, what is excluded is out."""
    assert selects(selection, "lab", fakes.vm("vm-1", name="web-01", **fields)) is taken
