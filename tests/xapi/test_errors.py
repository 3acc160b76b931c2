import json
import os
from pathlib import Path

import pytest

from orchestrator.xapi import errors
from workflows.ports import Bug, Busy, Denied, Gone, LockedOut, PoolError, Refused, Transient, Unknown

ERRORS = Path(__file__).parents[3] / "shared" / "xenapi" / "errors.json"
OURS = {"Fault"}  # not a XenAPI code: what the server says of an Async call that does not exist


@pytest.fixture
def codes() -> dict[str, list[str]]:
    if not ERRORS.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{ERRORS} is not there")
        pytest.skip(f"{ERRORS} is not there")
    loaded: dict[str, list[str]] = json.loads(ERRORS.read_text())["errors"]
    return loaded


def test_every_code_of_xenapi_has_a_class(codes: dict[str, list[str]]) -> None:
    """Each of xapi's error codes becomes one of the seven named errors, and most of them are refusals."""
    kinds = {code: errors.kind_of(code) for code in codes}
    assert set(kinds.values()) == {Transient, Busy, Gone, Refused, Denied, LockedOut, Bug, Unknown}
    assert sum(kind is Refused for kind in kinds.values()) > len(codes) * 0.8


def test_the_table_names_only_codes_that_xenapi_has(codes: dict[str, list[str]]) -> None:
    """A misspelt code in the table would silently leave the real one refused."""
    named = {code for family in errors.FAMILIES.values() for code in family}
    assert named - set(codes) == OURS


def test_no_code_is_in_two_families() -> None:
    """The table gives one meaning to a code."""
    named = [code for family in errors.FAMILIES.values() for code in family]
    assert len(named) == len(set(named))


def test_whatever_is_in_progress_is_busy(codes: dict[str, list[str]]) -> None:
    """Every code that says by its name that something is at work means: later."""
    assert {errors.kind_of(code) for code in codes if code.endswith("_IN_PROGRESS")} == {Busy}


def test_whatever_says_message_is_a_bug(codes: dict[str, list[str]]) -> None:
    """Every MESSAGE_ code says that the call itself was wrong."""
    assert {errors.kind_of(code) for code in codes if code.startswith("MESSAGE_")} == {Bug}


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        (["HANDLE_INVALID", "VM", "OpaqueRef:1"], Gone),
        (["UUID_INVALID", "VM", "x"], Gone),
        (["VM_BAD_POWER_STATE", "OpaqueRef:1", "running", "halted"], Refused),
        (["OPERATION_BLOCKED", "OpaqueRef:1", "vfo: in a backup"], Refused),
        (["NETWORK_SRIOV_INSUFFICIENT_CAPACITY", "OpaqueRef:1"], Refused),
        (["LICENCE_RESTRICTION", "SRIOV"], Refused),
        (["RBAC_PERMISSION_DENIED", "vm.start", "No permission"], Denied),
        (["SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure"], LockedOut),
        (["OTHER_OPERATION_IN_PROGRESS", "VM", "OpaqueRef:1"], Busy),
        (["VDI_IN_USE", "OpaqueRef:1", "destroy"], Busy),
        (["VIF_IN_USE", "OpaqueRef:1", "OpaqueRef:2"], Busy),
        (["HOST_OFFLINE", "OpaqueRef:1"], Transient),
        (["HOST_IS_SLAVE", "10.0.0.1"], errors.Unreachable),
        (["CANNOT_CONTACT_HOST", "OpaqueRef:1"], Unknown),
        (["TASK_CANCELLED", "OpaqueRef:1"], Unknown),
        (["MESSAGE_METHOD_UNKNOWN", "VM.strat"], Bug),
        (["INTERNAL_ERROR", 'Failure("Int64.of_string")'], Bug),
        (["SR_BACKEND_FAILURE_79", "", "VDI Invalid size", ""], Refused),
        (["A_CODE_FROM_NEXT_YEAR"], Refused),
        ([], Refused),
    ],
)
def test_a_failure_becomes_the_named_error(details: list[str], kind: type[PoolError]) -> None:
    """The code decides the class, and the parameters are kept."""
    error = errors.named(details)
    assert type(error) is kind
    assert [error.code, *error.details] == (details or ["NO_ERROR_DESCRIPTION"])


def test_a_session_is_not_told_by_its_error() -> None:
    """SESSION_INVALID names the session, which is a secret while it lives."""
    assert "OpaqueRef:secret" not in str(errors.named(["SESSION_INVALID", "OpaqueRef:secret"]))
