"""${message}."""
# Code of the version before works on beside this one: add tables, nullable columns and indexes, and take nothing away that it uses.
# Then write the *oldest* of the migration before. Only when old code cannot go on leave it as it is: all is stopped for the upgrade then.

import sqlalchemy as sa
import sqlmodel
from alembic import op

import state.columns

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
oldest = ${repr(up_revision)}  # the oldest schema whose code can use the database after this


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
