"""What a failure means: one table from XenAPI's error codes to the few named errors of `workflows.ports`.

A code that is in no family is `Refused`: the pool's state forbids it, and repeating the call changes nothing.
"""

from collections.abc import Sequence

from workflows.ports import Bug, Busy, Denied, Gone, LockedOut, PoolError, Refused, Transient, Unknown

NOT_REACHED = "NOT_REACHED"


class Unreachable(Transient):
    """The call certainly took no effect because nobody who could do it heard it: the client may wait and send it again by itself."""


# Whoever answered is not, or not yet, who can do it. The host-is-down family too: a host that reboots is one of our own steps.
_TRANSIENT = ["HOST_IN_EMERGENCY_MODE", "HOST_IS_SLAVE", "HOST_NOT_LIVE", "HOST_OFFLINE", "HOST_STILL_BOOTING", "SESSION_INVALID"]

# Something else is at work on the object; when it has ended the same call may succeed.
_BUSY = [
    "APPLY_UPDATES_IN_PROGRESS",
    "CLUSTER_CREATE_IN_PROGRESS",
    "CONFIGURE_REPOSITORIES_IN_PROGRESS",
    "DOMAIN_EXISTS",
    "HA_DISABLE_IN_PROGRESS",
    "HA_ENABLE_IN_PROGRESS",
    "HOST_EVACUATE_IN_PROGRESS",
    "HOST_IN_USE",
    "OTHER_OPERATION_IN_PROGRESS",
    "REPOSITORY_IS_IN_USE",
    "SR_DEVICE_IN_USE",
    "SR_VDI_LOCKING_FAILED",
    "SYNC_BUNDLE_IN_PROGRESS",
    "SYNC_UPDATES_IN_PROGRESS",
    "TOO_BUSY",
    "TOO_MANY_PENDING_TASKS",
    "TOO_MANY_STORAGE_MIGRATES",
    "VDI_IN_USE",
    "VIF_IN_USE",
    "VM_CALL_PLUGIN_RATE_LIMIT",
]

_GONE = ["HANDLE_INVALID", "OBJECT_NOLONGER_EXISTS", "UUID_INVALID"]

_DENIED = ["PERMISSION_DENIED", "RBAC_PERMISSION_DENIED", "USER_IS_NOT_LOCAL_SUPERUSER"]

_LOCKED_OUT = ["SESSION_AUTHENTICATION_FAILED", "SESSION_AUTHORIZATION_FAILED"]

# Fault is what the server says of an Async call of a message that has none.
_BUG = [
    "EVENT_SUBSCRIPTION_PARSE_FAILURE",
    "EVENTS_LOST",
    "Fault",
    "FIELD_TYPE_ERROR",
    "INTERNAL_ERROR",
    "INVALID_VALUE",
    "MESSAGE_DEPRECATED",
    "MESSAGE_METHOD_UNKNOWN",
    "MESSAGE_PARAMETER_COUNT_MISMATCH",
    "MESSAGE_REMOVED",
    "NOT_IMPLEMENTED",
    "SESSION_NOT_REGISTERED",
    "XMLRPC_UNMARSHAL_FAILURE",
]

# The coordinator lost a member, a driver or the task on the way: some or all of it may have happened.
_UNKNOWN = [
    "CANNOT_CONTACT_HOST",
    "DEVICE_ATTACH_TIMEOUT",
    "DEVICE_DETACH_TIMEOUT",
    "OPERATION_PARTIALLY_FAILED",
    "SM_PLUGIN_COMMUNICATION_FAILURE",
    "TASK_CANCELLED",
    "VM_SHUTDOWN_TIMEOUT",
    "VM_SUSPEND_TIMEOUT",
]

FAMILIES: dict[type[PoolError], tuple[str, ...]] = {
    Transient: tuple(_TRANSIENT),
    Busy: tuple(_BUSY),
    Gone: tuple(_GONE),
    Denied: tuple(_DENIED),
    LockedOut: tuple(_LOCKED_OUT),
    Bug: tuple(_BUG),
    Unknown: tuple(_UNKNOWN),
}

_BY_CODE = {code: kind for kind, codes in FAMILIES.items() for code in codes}

# The server says both before it does anything (xapi: session and coordinator are checked ahead of the message).
NOBODY_HEARD = frozenset({"HOST_IS_SLAVE", "SESSION_INVALID"})


def kind_of(code: str) -> type[PoolError]:
    """The named error that this XenAPI code is."""
    return _BY_CODE.get(code, Refused)


def named(details: Sequence[str]) -> PoolError:
    """XenAPI's ErrorDescription, [code, *parameters], as the error to raise."""
    code, *parameters = [str(part) for part in details] or ["NO_ERROR_DESCRIPTION"]
    if code in NOBODY_HEARD:
        # the parameter of SESSION_INVALID is the session itself: as good as the password while it lives
        return Unreachable(code, () if code == "SESSION_INVALID" else tuple(parameters))
    return kind_of(code)(code, tuple(parameters))


def again(error: PoolError) -> PoolError:
    """The same error as a new exception, so that several threads may raise it without sharing a traceback."""
    return type(error)(error.code, error.details, str(error))
