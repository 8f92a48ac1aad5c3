"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("canceled", sa.Integer(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_batches")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("offsets", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
    )
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_datasets_created_at_id"), ["created_at", "id"], unique=False)

    op.create_table(
        "events",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq", name=op.f("pk_events")),
    )
    op.create_table(
        "output_files",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("is_ready", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_output_files")),
    )
    with op.batch_alter_table("output_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_output_files_created_at_id"), ["created_at", "id"], unique=False)

    op.create_table(
        "pauses",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("is_open", sa.SmallInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("form", sa.Text(), nullable=True),
        sa.Column("assignees", sa.Text(), nullable=False),
        sa.Column("holds_all", sa.SmallInteger(), nullable=False),
        sa.Column("pause_time", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("on_timeout", sa.Text(), nullable=True),
        sa.Column("input_data", sa.Text(), nullable=False),
        sa.Column("resume_time", sa.BigInteger(), nullable=True),
        sa.Column("resume_user_id", sa.Text(), nullable=True),
        sa.Column("resume_action", sa.Text(), nullable=True),
        sa.Column("resume_inputs", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    with op.batch_alter_table("pauses", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pauses_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("is_open = 1 AND due_at IS NOT NULL"),
            postgresql_where=sa.text("is_open = 1 AND due_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_pauses_open",
            ["pause_time", "id"],
            unique=False,
            sqlite_where=sa.text("is_open = 1"),
            postgresql_where=sa.text("is_open = 1"),
        )
        batch_op.create_index(
            batch_op.f("ix_pauses_run_id_pause_time_id"), ["run_id", "pause_time", "id"], unique=False
        )

    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("parent_run_id", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.Text(), nullable=True),
        sa.Column("owner_path", sa.Text(), nullable=True),
        sa.Column("row_index", sa.Integer(), nullable=True),
        sa.Column("partial", sa.Text(), nullable=True),
        sa.Column("input_dataset_id", sa.Text(), nullable=True),
        sa.Column("output_file_id", sa.Text(), nullable=True),
        sa.Column("has_work", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("signals", sa.Integer(), nullable=False),
        sa.Column("recoveries", sa.Integer(), nullable=False),
        sa.Column("initial_inputs", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_runs_children",
            ["owner_id", "owner_path"],
            unique=True,
            sqlite_where=sa.text("owner_path IS NOT NULL"),
            postgresql_where=sa.text("owner_path IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_runs_datasets",
            ["input_dataset_id", "start_time", "id"],
            unique=False,
            sqlite_where=sa.text("input_dataset_id IS NOT NULL"),
            postgresql_where=sa.text("input_dataset_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_runs_open_children",
            ["owner_id", "status"],
            unique=False,
            sqlite_where=sa.text("owner_id IS NOT NULL AND end_time IS NULL"),
            postgresql_where=sa.text("owner_id IS NOT NULL AND end_time IS NULL"),
        )
        batch_op.create_index(
            "ix_runs_parents",
            ["parent_run_id", "start_time", "id"],
            unique=False,
            sqlite_where=sa.text("parent_run_id IS NOT NULL"),
            postgresql_where=sa.text("parent_run_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_runs_paused",
            ["start_time", "id"],
            unique=False,
            sqlite_where=sa.text("status = 'PAUSED'"),
            postgresql_where=sa.text("status = 'PAUSED'"),
        )
        batch_op.create_index(
            "ix_runs_rows",
            ["owner_id", "row_index"],
            unique=True,
            sqlite_where=sa.text("row_index IS NOT NULL"),
            postgresql_where=sa.text("row_index IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_runs_start_time_id"), ["start_time", "id"], unique=False)
        batch_op.create_index(
            "ix_runs_work",
            ["start_time"],
            unique=False,
            sqlite_where=sa.text("has_work = 1"),
            postgresql_where=sa.text("has_work = 1"),
        )
        batch_op.create_index(
            batch_op.f("ix_runs_workflow_id_start_time_id"), ["workflow_id", "start_time", "id"], unique=False
        )

    op.create_table(
        "tasks",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("parent_path", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("routes", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("usage", sa.Text(), nullable=True),
        sa.Column("logs", sa.Text(), nullable=True),
        sa.Column("inputs", sa.Text(), nullable=True),
        sa.Column("outputs", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "path", name=op.f("pk_tasks")),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("definition_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("workflow_id", "version", name=op.f("uq_versions_workflow_id_version")),
    )
    op.create_table(
        "workflows",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("definition_hash", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflows")),
    )
    with op.batch_alter_table("workflows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_workflows_created_at_id"), ["created_at", "id"], unique=False)

    op.create_table(
        "writers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_writers")),
    )


def downgrade() -> None:
    op.drop_table("writers")
    with op.batch_alter_table("workflows", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_workflows_created_at_id"))

    op.drop_table("workflows")
    op.drop_table("versions")
    op.drop_table("tasks")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_runs_workflow_id_start_time_id"))
        batch_op.drop_index(
            "ix_runs_work", sqlite_where=sa.text("has_work = 1"), postgresql_where=sa.text("has_work = 1")
        )
        batch_op.drop_index(batch_op.f("ix_runs_start_time_id"))
        batch_op.drop_index(
            "ix_runs_rows",
            sqlite_where=sa.text("row_index IS NOT NULL"),
            postgresql_where=sa.text("row_index IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_runs_paused",
            sqlite_where=sa.text("status = 'PAUSED'"),
            postgresql_where=sa.text("status = 'PAUSED'"),
        )
        batch_op.drop_index(
            "ix_runs_parents",
            sqlite_where=sa.text("parent_run_id IS NOT NULL"),
            postgresql_where=sa.text("parent_run_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_runs_open_children",
            sqlite_where=sa.text("owner_id IS NOT NULL AND end_time IS NULL"),
            postgresql_where=sa.text("owner_id IS NOT NULL AND end_time IS NULL"),
        )
        batch_op.drop_index(
            "ix_runs_datasets",
            sqlite_where=sa.text("input_dataset_id IS NOT NULL"),
            postgresql_where=sa.text("input_dataset_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_runs_children",
            sqlite_where=sa.text("owner_path IS NOT NULL"),
            postgresql_where=sa.text("owner_path IS NOT NULL"),
        )

    op.drop_table("runs")
    with op.batch_alter_table("pauses", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pauses_run_id_pause_time_id"))
        batch_op.drop_index(
            "ix_pauses_open", sqlite_where=sa.text("is_open = 1"), postgresql_where=sa.text("is_open = 1")
        )
        batch_op.drop_index(
            "ix_pauses_due",
            sqlite_where=sa.text("is_open = 1 AND due_at IS NOT NULL"),
            postgresql_where=sa.text("is_open = 1 AND due_at IS NOT NULL"),
        )

    op.drop_table("pauses")
    with op.batch_alter_table("output_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_output_files_created_at_id"))

    op.drop_table("output_files")
    op.drop_table("events")
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_datasets_created_at_id"))

    op.drop_table("datasets")
    op.drop_table("batches")
