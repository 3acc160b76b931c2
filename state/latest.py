"""The newest run on a subject: what was wanted of it last."""

from collections.abc import Collection

from sqlmodel import Session, col, select

from state.run import Run


def on_subject(session: Session, pool: str, subject: str, workflows: Collection[str]) -> Run | None:
    """The run of one of the workflows on the subject that was created last, whatever became of it; None when there was none."""
    query = select(Run).where(Run.pool == pool, Run.subject == subject, col(Run.workflow).in_(sorted(workflows)))
    return session.exec(query.order_by(col(Run.created_at).desc()).limit(1)).first()
