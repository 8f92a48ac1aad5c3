"""Reruns, batch control, idempotency keys, retention, and the lanes of batches on Postgres."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ENDED = "owner_id IS NULL AND end_time IS NOT NULL"
REPEATS = "origin_id IS NOT NULL"
OPEN_UNDER = "parent_run_id IS NOT NULL AND owner_id IS NULL AND end_time IS NULL"


def upgrade() -> None:
    op.add_column("runs", sa.Column("origin_id", sa.Text(), nullable=True))
    op.create_index(
        "ix_runs_origins",
        "runs",
        ["origin_id", "start_time", "id"],
        sqlite_where=sa.text(REPEATS),
        postgresql_where=sa.text(REPEATS),
    )
    op.create_index(
        "ix_runs_ended",
        "runs",
        ["end_time", "id"],
        sqlite_where=sa.text(ENDED),
        postgresql_where=sa.text(ENDED),
    )
    op.create_index(
        "ix_runs_open_parents",
        "runs",
        ["parent_run_id"],
        sqlite_where=sa.text(OPEN_UNDER),
        postgresql_where=sa.text(OPEN_UNDER),
    )
    for name in ("input_tokens", "output_tokens", "cost_nano"):
        op.add_column("batches", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("batches", sa.Column("selection", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("canary", sa.Integer(), nullable=True))
    op.create_table(
        "causes",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("example_run_id", sa.Text(), nullable=False),
        sa.Column("example_row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "signature", name=op.f("pk_causes")),
    )
    op.create_table(
        "lanes",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("stop", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "lane", name=op.f("pk_lanes")),
    )
    op.create_table(
        "requests",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_requests")),
    )
    op.create_index(op.f("ix_requests_created_at"), "requests", ["created_at"])
    op.add_column("writers", sa.Column("seen_n", sa.BigInteger(), nullable=True))
    op.add_column("writers", sa.Column("seen_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "pruned",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("file_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_pruned")),
    )


def downgrade() -> None:
    raise NotImplementedError("Rowel's data is not taken back to older revisions; restore a backup.")
