"""Every call of ours, and who may make it."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi import roles
from orchestrator.xapi.client import Client

ROOT = Path(__file__).parents[2]
DATAMODEL = ROOT.parent / "shared" / "xenapi" / "datamodel.json"


@pytest.fixture
def messages() -> dict[str, Any]:
    """Every message of XenAPI by its full name."""
    if not DATAMODEL.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{DATAMODEL} is not there")
        pytest.skip(f"{DATAMODEL} is not there")
    classes = json.loads(DATAMODEL.read_text())["classes"]
    return {f"{name}.{verb}": message for name, one in classes.items() for verb, message in one["messages"].items()}


def test_the_least_roles_are_those_of_xenapi(messages: dict[str, Any]) -> None:
    """Each call of the table exists, and asks for the role that the data model says."""
    assert {call: messages[call]["min_role"] for call in roles.CALLS} == roles.CALLS


def test_the_marks_of_the_roles_are_those_of_xenapi(messages: dict[str, Any]) -> None:
    """A role is recognised by a call that it may make and the one below may not."""
    by_permission = {name.lower(): message["min_role"] for name, message in messages.items()}
    assert {role: by_permission[mark] for role, mark in roles._MARKS.items()} == {role: role for role in roles.LADDER}


def test_every_call_in_the_product_is_in_the_table(messages: dict[str, Any]) -> None:
    """Whatever the sources name as a message of XenAPI is asked for by the doctor; demo and rehearsal also play others."""
    sources = [
        path for path in (ROOT / "orchestrator").rglob("*.py") if not {"simulator", "demo", "roles.py", "rehearsal.py"} & set(path.parts)
    ]
    named = {name for path in sources for name in re.findall(r'"([A-Za-z_]+\.[A-Za-z_]+)"', path.read_text())}
    assert (named & set(messages)) - set(roles.CALLS) == set()


@pytest.mark.parametrize("role", roles.LADDER)
def test_a_client_knows_its_role(make_simulated_pool: Callable[..., SimulatedPool], join: Callable[..., Client], role: str) -> None:
    """By its session's permissions."""
    pool = make_simulated_pool(hosts=1, vms=0, users={"someone": ("secret", role)})
    assert roles.my_role(join(pool, username="someone", password=SecretStr("secret"))) == role


def test_root_is_pool_admin(make_simulated_pool: Callable[..., SimulatedPool], join: Callable[..., Client]) -> None:
    """A local superuser has no list of permissions and may do everything."""
    assert roles.my_role(join(make_simulated_pool(hosts=1, vms=0))) == "pool-admin"


def test_a_pool_operator_may_do_all_that_matters() -> None:
    """Hosts and ports ask for it; what only a pool-admin may do is done without."""
    assert roles.needed() == "pool-operator"
    assert roles.denied("pool-operator") == []
    assert {call for call, least in roles.CALLS.items() if least == "pool-admin"} == roles.OPTIONAL


def test_what_a_role_may_not_do_is_named() -> None:
    """A vm-power-admin lacks what touches hosts and ports, and nothing below that."""
    denied = roles.denied("vm-power-admin")
    assert {"host.reboot", "PIF.unplug", "network_sriov.create"} <= set(denied)
    assert {roles.CALLS[call] for call in denied} == {"pool-operator"}
