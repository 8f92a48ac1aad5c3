"""Indexes from which lists of runs are merged, so that no list walks past what it doesn't show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ENDED = "end_time IS NOT NULL"
OPEN = "end_time IS NULL"


def upgrade() -> None:
    for name, columns, condition in (
        ("ix_runs_listed", ["run_type", "status", "start_time", "id"], ENDED),
        ("ix_runs_listed_by_workflow", ["workflow_id", "run_type", "status", "start_time", "id"], ENDED),
        ("ix_runs_open", ["start_time", "id", "workflow_id", "run_type"], OPEN),
    ):
        where = sa.text(condition)
        op.create_index(name, "runs", columns, sqlite_where=where, postgresql_where=where)
    op.drop_index(op.f("ix_runs_workflow_id_start_time_id"), "runs")
    op.drop_index(op.f("ix_runs_start_time_id"), "runs")


def downgrade() -> None:
    raise NotImplementedError("Rowel's data is not taken back to older revisions; restore a backup.")
