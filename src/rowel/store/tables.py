"""The tables. JSON is text, times are microseconds since 1970 UTC, flags are 0 or 1: alike on both databases."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", Text, primary_key=True, nullable=False)


def _times() -> tuple[Column[int], Column[int]]:
    return (
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
    )


workflows = Table(
    "workflows",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("definition", Text, nullable=False),
    Column("definition_hash", Text, nullable=False),
    #: What was found out about nodes when it was saved: {node id: facts}.
    Column("facts", Text, nullable=False),
    *_times(),
    #: Deleted workflows keep their row while runs refer to it.
    Column("deleted_at", BigInteger),
)
Index(None, workflows.c.created_at, workflows.c.id)

versions = Table(
    "versions",
    metadata,
    _id(),
    Column("workflow_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("definition", Text, nullable=False),
    Column("definition_hash", Text, nullable=False),
    *_times(),
    UniqueConstraint("workflow_id", "version"),
)

runs = Table(
    "runs",
    metadata,
    _id(),
    Column("workflow_id", Text, nullable=False),
    Column("version_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("run_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("message", Text),
    Column("parent_run_id", Text),
    #: The run that waits for this one and cancels it with itself; `owner_path` is null where it is a batch.
    Column("owner_id", Text),
    Column("owner_path", Text),
    Column("row_index", Integer),
    Column("partial", Text),
    Column("input_dataset_id", Text),
    Column("output_file_id", Text),
    #: Whether something must be done for this run; recovery and dispatch look at nothing else.
    Column("has_work", SmallInteger, nullable=False),
    #: The fencing token: whoever takes the run over raises it.
    Column("epoch", Integer, nullable=False),
    #: The number of the newest event.
    Column("seq", Integer, nullable=False),
    #: The group of records that wrote last; the rest of that group stands on it.
    Column("stamp", BigInteger, nullable=False),
    #: Raised by everything that gives the run work from outside its runner.
    Column("signals", Integer, nullable=False),
    Column("recoveries", Integer, nullable=False),
    #: Late, since it may be long.
    Column("initial_inputs", Text),
    #: The run that this one repeats: a rerun's, or a redriven batch's.
    Column("origin_id", Text),
    #: 1: its nodes don't ask the step cache.
    Column("is_fresh", SmallInteger),
)
#: Lists are merged from parts: see `store/lists.py`.
Index(
    "ix_runs_listed",
    runs.c.run_type,
    runs.c.status,
    runs.c.start_time,
    runs.c.id,
    sqlite_where=text("end_time IS NOT NULL"),
    postgresql_where=text("end_time IS NOT NULL"),
)
Index(
    "ix_runs_listed_by_workflow",
    runs.c.workflow_id,
    runs.c.run_type,
    runs.c.status,
    runs.c.start_time,
    runs.c.id,
    sqlite_where=text("end_time IS NOT NULL"),
    postgresql_where=text("end_time IS NOT NULL"),
)
Index(
    "ix_runs_open",
    runs.c.start_time,
    runs.c.id,
    runs.c.workflow_id,
    runs.c.run_type,
    sqlite_where=text("end_time IS NULL"),
    postgresql_where=text("end_time IS NULL"),
)
Index(
    "ix_runs_work",
    runs.c.start_time,
    sqlite_where=text("has_work = 1"),
    postgresql_where=text("has_work = 1"),
)
Index(
    "ix_runs_rows",
    runs.c.owner_id,
    runs.c.row_index,
    unique=True,
    sqlite_where=text("row_index IS NOT NULL"),
    postgresql_where=text("row_index IS NOT NULL"),
)
Index(
    "ix_runs_children",
    runs.c.owner_id,
    runs.c.owner_path,
    unique=True,
    sqlite_where=text("owner_path IS NOT NULL"),
    postgresql_where=text("owner_path IS NOT NULL"),
)
Index(
    "ix_runs_open_children",
    runs.c.owner_id,
    runs.c.status,
    sqlite_where=text("owner_id IS NOT NULL AND end_time IS NULL"),
    postgresql_where=text("owner_id IS NOT NULL AND end_time IS NULL"),
)
Index(
    "ix_runs_parents",
    runs.c.parent_run_id,
    runs.c.start_time,
    runs.c.id,
    sqlite_where=text("parent_run_id IS NOT NULL"),
    postgresql_where=text("parent_run_id IS NOT NULL"),
)
Index(
    "ix_runs_datasets",
    runs.c.input_dataset_id,
    runs.c.start_time,
    runs.c.id,
    sqlite_where=text("input_dataset_id IS NOT NULL"),
    postgresql_where=text("input_dataset_id IS NOT NULL"),
)
Index(
    "ix_runs_origins",
    runs.c.origin_id,
    runs.c.start_time,
    runs.c.id,
    sqlite_where=text("origin_id IS NOT NULL"),
    postgresql_where=text("origin_id IS NOT NULL"),
)
#: What retention goes through.
Index(
    "ix_runs_ended",
    runs.c.end_time,
    runs.c.id,
    sqlite_where=text("owner_id IS NULL AND end_time IS NOT NULL"),
    postgresql_where=text("owner_id IS NULL AND end_time IS NOT NULL"),
)
#: What open runs are listed under, where a client said so.
Index(
    "ix_runs_open_parents",
    runs.c.parent_run_id,
    sqlite_where=text("parent_run_id IS NOT NULL AND owner_id IS NULL AND end_time IS NULL"),
    postgresql_where=text("parent_run_id IS NOT NULL AND owner_id IS NULL AND end_time IS NULL"),
)
Index(
    "ix_runs_paused",
    runs.c.start_time,
    runs.c.id,
    sqlite_where=text("status = 'PAUSED'"),
    postgresql_where=text("status = 'PAUSED'"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("run_id", Text, primary_key=True, nullable=False),
    #: The node's id; inside a loop led by `{loop}.{iteration}.`.
    Column("path", Text, primary_key=True, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("parent_path", Text),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("start_time", BigInteger),
    Column("end_time", BigInteger),
    Column("retry_at", BigInteger),
    Column("routes", Text),
    Column("error", Text),
    Column("usage", Text),
    Column("logs", Text),
    Column("inputs", Text),
    Column("outputs", Text),
    #: 1: its outputs came from the step cache.
    Column("is_cached", SmallInteger),
)

pauses = Table(
    "pauses",
    metadata,
    _id(),
    Column("run_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("is_open", SmallInteger, nullable=False),
    Column("message", Text),
    Column("form", Text),
    Column("assignees", Text, nullable=False),
    Column("holds_all", SmallInteger, nullable=False),
    Column("pause_time", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("on_timeout", Text),
    Column("input_data", Text, nullable=False),
    Column("resume_time", BigInteger),
    Column("resume_user_id", Text),
    Column("resume_action", Text),
    Column("resume_inputs", Text),
    Column("comments", Text),
    #: The group of records that answered it.
    Column("stamp", BigInteger, nullable=False),
)
Index(None, pauses.c.run_id, pauses.c.pause_time, pauses.c.id)
Index(
    "ix_pauses_open",
    pauses.c.pause_time,
    pauses.c.id,
    sqlite_where=text("is_open = 1"),
    postgresql_where=text("is_open = 1"),
)
Index(
    "ix_pauses_due",
    pauses.c.due_at,
    sqlite_where=text("is_open = 1 AND due_at IS NOT NULL"),
    postgresql_where=text("is_open = 1 AND due_at IS NOT NULL"),
)

#: One row holds the events of one group; `seq` numbers the last of them.
events = Table(
    "events",
    metadata,
    Column("run_id", Text, primary_key=True, nullable=False),
    Column("seq", Integer, primary_key=True, nullable=False),
    Column("body", Text, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("run_id", Text, primary_key=True, nullable=False),
    Column("dataset_id", Text, nullable=False),
    Column("total", Integer, nullable=False),
    #: The first row that has no run yet.
    Column("cursor", Integer, nullable=False),
    #: How many rows may be in flight.
    Column("window", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("canceled", Integer, nullable=False),
    Column("options", Text, nullable=False),
    #: What the ended rows cost: tokens, and billionths of a dollar.
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cost_nano", BigInteger, nullable=False, server_default="0"),
    #: The rows that run, as [[first, last], ...]; null: all.
    Column("selection", Text),
    #: How many rows are tried first; null once somebody has approved the others, or where nobody is asked.
    Column("canary", Integer),
)

#: Why rows of a batch failed, counted by what the messages have in common.
causes = Table(
    "causes",
    metadata,
    Column("run_id", Text, primary_key=True, nullable=False),
    Column("signature", Text, primary_key=True, nullable=False),
    Column("count", Integer, nullable=False),
    Column("example_run_id", Text, nullable=False),
    Column("example_row", Integer, nullable=False),
)

#: On Postgres: who works on a batch. A lane runs the rows from `start` to before `stop`, one after another.
lanes = Table(
    "lanes",
    metadata,
    Column("run_id", Text, primary_key=True, nullable=False),
    Column("lane", Integer, primary_key=True, nullable=False),
    Column("start", Integer, nullable=False),
    Column("stop", Integer, nullable=False),
    #: The fencing token, as on a run.
    Column("epoch", Integer, nullable=False),
)

#: What was done for a request with an `Idempotency-Key`.
requests = Table(
    "requests",
    metadata,
    Column("key", Text, primary_key=True, nullable=False),
    #: A hash of what was asked for.
    Column("fingerprint", Text, nullable=False),
    #: The run that it started or decided about.
    Column("run_id", Text, nullable=False),
    #: The answer as it was sent; null where it follows from the run once that rests.
    Column("status", Integer),
    Column("answer", Text),
    Column("created_at", BigInteger, nullable=False),
)
Index(None, requests.c.created_at)

#: What nodes gave that say `cache_s`, by a hash of what was asked of them.
step_cache = Table(
    "step_cache",
    metadata,
    Column("key", Text, primary_key=True, nullable=False),
    #: Characters of the outputs.
    Column("size", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("outputs", Text, nullable=False),
)
Index(None, step_cache.c.expires_at, step_cache.c.key)

#: On Postgres: what was taken of the limits of models. Times at which it will have been earned, in microseconds.
allowances = Table(
    "allowances",
    metadata,
    Column("key", Text, primary_key=True, nullable=False),
    Column("requests_at", BigInteger, nullable=False),
    Column("tokens_at", BigInteger, nullable=False),
    #: The provider said that nobody should ask before.
    Column("held_until", BigInteger, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("filename", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("columns", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("offsets", Text, nullable=False),
    *_times(),
)
Index(None, datasets.c.created_at, datasets.c.id)

output_files = Table(
    "output_files",
    metadata,
    _id(),
    Column("run_id", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("is_ready", SmallInteger, nullable=False),
    *_times(),
)
Index(None, output_files.c.created_at, output_files.c.id)

#: The newest commit of each writer, read after a commit whose outcome is unknown.
writers = Table(
    "writers",
    metadata,
    Column("id", Text, primary_key=True, nullable=False),
    Column("n", BigInteger, nullable=False),
    #: What retention saw, and when: a writer that has not written since is gone.
    Column("seen_n", BigInteger),
    Column("seen_at", BigInteger),
)

#: Runs that retention has removed, and of which something may be left.
pruned = Table(
    "pruned",
    metadata,
    Column("run_id", Text, primary_key=True, nullable=False),
    #: The output file whose bytes go last.
    Column("file_key", Text),
)
