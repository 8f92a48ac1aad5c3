"""The step cache, runs that don't ask it, and tasks that it spared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "step_cache",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_step_cache")),
    )
    op.create_index(op.f("ix_step_cache_expires_at_key"), "step_cache", ["expires_at", "key"])
    op.add_column("runs", sa.Column("is_fresh", sa.SmallInteger(), nullable=True))
    op.add_column("tasks", sa.Column("is_cached", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Rowel's data is not taken back to older revisions; restore a backup.")
