"""Who may do what: six roles, each allowed all that the one below it is."""

import functools

from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.schema import Message, Schema

# From the least to the most powerful (datamodel_roles.ml).
LADDER = ("read-only", "vm-operator", "vm-admin", "vm-power-admin", "pool-operator", "pool-admin")
# The order in which a running xapi listed them in its complaint.
LISTED = ("vm-power-admin", "vm-operator", "vm-admin", "read-only", "pool-admin", "pool-operator")


def allows(role: str, message: Message) -> bool:
    """Whether the role may call it; messages without a role belong to xapi itself, and to whoever is pool-admin."""
    return LADDER.index(role) >= LADDER.index(message.role or "pool-admin")


def check(role: str, message: Message) -> None:
    """RBAC_PERMISSION_DENIED [the message in lower case, who would have been allowed] (rbac.ml)."""
    if allows(role, message):
        return
    able = [one for one in LISTED if allows(one, message)]
    raise Failure(
        "RBAC_PERMISSION_DENIED", message.method.lower(), f"No permission in user session. (Roles with this permission: {', '.join(able)})"
    )


@functools.cache
def permissions(schema: Schema, role: str) -> list[str]:
    """All that the role may call, as session.rbac_permissions lists it."""
    return sorted(message.method.lower() for message in schema.messages.values() if allows(role, message))


def populate(db: Database) -> None:
    """The rows of class role, unless they are there."""
    if not db.refs("role"):
        for role in reversed(LADDER):
            db.create("role", name_label=role, name_description=f"The {role} role")
