"""Runs that were refused and that nothing has followed since."""

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from state.run import Run, Status


def standing(session: Session, pool: str, workflow: str) -> list[Run]:
    """The runs of the workflow that were refused and are the latest about their subject, those first that were refused longest ago."""
    later = aliased(Run)
    followed = select(later.id).where(
        later.workflow == Run.workflow, later.pool == Run.pool, later.subject == Run.subject, col(later.created_at) > col(Run.created_at)
    )
    query = select(Run).where(Run.pool == pool, Run.workflow == workflow, Run.status == Status.REFUSED, ~followed.exists())
    return list(session.exec(query.order_by(col(Run.updated_at))))
