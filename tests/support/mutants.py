"""Small changes of the source, each of which breaks one promise, and the tests that must turn red for it.

`make mutants` tries them all; `docs/promises.md` names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Moved(Exception):
    """The source no longer holds what a mutant changes."""


@dataclass(frozen=True)
class Change:
    """One replacement in one file below `src/rowel`; `old` stands there exactly once."""

    file: str
    old: str
    new: str

    def applied(self, source: str) -> str:
        """The changed source. Raises `Moved`."""
        if source.count(self.old) != 1:
            raise Moved(
                f"src/rowel/{self.file} holds {source.count(self.old)} times what is to be changed:\n{self.old}"
            )
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """A change by name, the promise that it breaks (as docs/promises.md numbers them), and its tests."""

    name: str
    promise: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]

    def apply(self, package: Path) -> None:
        """Change the files below `package` (a copy of `src/rowel`). Raises `Moved`."""
        for change in self.changes:
            file = package / change.file
            file.write_text(change.applied(file.read_text()))


def mutant(name: str, promise: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, promise, (Change(file, old, new),), tests)


MUTANTS = (
    mutant(
        "acknowledge before the commit",
        "D1",
        "engine/starts.py",
        "        await self._house.journal.begin(run, Changes(tasks=born, facts=told, receipt=receipt))\n",
        "        asyncio.ensure_future(self._house.journal.begin(run, Changes(tasks=born, facts=told)))\n",
        "tests/engine/test_trouble.py::test_while_the_store_refuses_writes_nothing_is_accepted",
    ),
    mutant(
        "commit without waiting for the disk",
        "D1",
        "store/dialect.py",
        '"PRAGMA synchronous=FULL"',
        '"PRAGMA synchronous=OFF"',
        "tests/store/test_migrations.py::test_sqlite_is_durable_and_readable_beside_its_writer",
    ),
    mutant(
        "recovery looks once",
        "D1",
        "engine/timers.py",
        "asyncio.ensure_future(_each(self._until_next_runs, self.take_up_runs))",
        "asyncio.ensure_future(self.take_up_runs())",
        "tests/engine/test_trouble.py::test_runs_that_nobody_moves_are_looked_for_again_and_again",
    ),
    mutant(
        "a dead worker's runs are left to it",
        "D1",
        "engine/cluster/cluster.py",
        "            await self._jobs.take_over(self._pace.stalled)\n",
        "            return\n",
        "tests/journeys/test_cluster.py::test_a_killed_workers_run_goes_on_elsewhere_and_repeats_only_what_was_under_way",
    ),
    mutant(
        "what is accepted is not in the queue",
        "D1",
        "store/commits.py",
        "                connection.enqueue(jobs)\n",
        "                pass\n",
        "tests/engine/cluster/test_runs.py::test_a_blocking_run_is_answered_though_another_process_moves_it",
    ),
    mutant(
        "a rest passes over signals",
        "D5",
        "store/transitions.py",
        '        is_unsignaled = runs.c.signals == number("signals")\n',
        '        is_unsignaled = number("signals") == number("signals")\n',
        "tests/store/test_journal.py::test_a_run_rests_only_on_the_signals_it_has_seen[sqlite]",
    ),
    mutant(
        "has_work is not cleared",
        "D4",
        "store/transitions.py",
        '            "has_work": 0,\n            "recoveries": 0,\n',
        '            "recoveries": 0,\n',
        "tests/store/test_journal.py::test_only_a_run_with_work_is_taken_over[sqlite]",
    ),
    Mutant(
        "recovery executes what is PAUSED",
        "D4",
        (
            Change(
                "store/transitions.py",
                '            .where(runs.c.id == word("run_id"), runs.c.has_work == 1, _is_open())\n',
                '            .where(runs.c.id == word("run_id"), _is_open())\n',
            ),
        ),
        ("tests/store/test_journal.py::test_only_a_run_with_work_is_taken_over[sqlite]",),
    ),
    mutant(
        "what is COMPLETED starts again",
        "D2",
        "engine/restore.py",
        "                return Settled(State.COMPLETED, task.routes)\n            case TaskStatus.FAILED:",
        "                return Settled(State.STARTED)\n            case TaskStatus.FAILED:",
        "tests/engine/test_pauses.py::test_completed_nodes_are_not_run_again_when_a_run_resumes",
        "tests/journeys/test_crash.py::test_a_run_that_a_kill_interrupted_goes_on_and_repeats_nothing_that_was_done",
    ),
    mutant(
        "what does not land with a rest is dropped",
        "D2",
        "engine/runner.py",
        "        self.progress.put_back(changes)\n        self._is_poked = True\n        return True\n",
        "        self.progress.put_back(changes)\n        return await self._read_news()\n",
        "tests/engine/test_pauses.py::test_a_refusal_that_ends_a_run_on_its_way_to_rest_loses_nothing",
    ),
    mutant(
        "effects before RUNNING is written",
        "D3",
        "engine/runner.py",
        "                if not await self._write() or not self._is_moving():\n                    break\n"
        "                self._launch()\n",
        "                self._launch()\n                if not await self._write() or not self._is_moving():\n"
        "                    break\n",
        "tests/engine/test_cancels.py::test_while_a_cancel_is_on_its_way_nothing_starts",
    ),
    mutant(
        "on_interrupt is ignored",
        "D3",
        "engine/progress.py",
        'if was_running and not is_pure and node.config.on_interrupt == "fail":',
        'if was_running and is_pure and node.config.on_interrupt == "fail":',
        "tests/engine/test_recovery.py::test_a_node_that_may_run_at_most_once_fails_instead",
    ),
    mutant(
        "the fence has no epoch",
        "D3",
        "store/transitions.py",
        '    return runs.c.id == word("run_id"), runs.c.epoch == number("epoch"), _is_open()\n',
        '    return runs.c.id == word("run_id"), number("epoch") == number("epoch"), _is_open()\n',
        "tests/store/test_journal.py::test_a_write_of_a_former_owner_does_not_land_and_none_of_its_parts_does[sqlite]",
        "tests/engine/test_recovery.py::test_whoever_takes_a_run_over_fences_off_its_former_owner",
    ),
    mutant(
        "a takeover does not raise the epoch",
        "D3",
        "store/transitions.py",
        '        taken = {\n            "epoch": runs.c.epoch + 1,\n',
        '        taken = {\n            "epoch": runs.c.epoch,\n',
        "tests/engine/test_recovery.py::test_whoever_takes_a_run_over_fences_off_its_former_owner",
    ),
    mutant(
        "DECLINE acts as APPROVE",
        "D5",
        "engine/decisions.py",
        "        if action is PauseAction.DECLINE and DECLINED not in handles:\n",
        "        if action is None and DECLINED not in handles:\n",
        "tests/engine/test_pauses.py::test_declined_the_node_and_all_behind_it_are_canceled_and_the_run_says_who_and_why",
    ),
    mutant(
        "a cancel leaves no trace in the run's row",
        "D6",
        "store/transitions.py",
        '            "status": RunStatus.CANCELED.value,\n            "end_time": number("end_time"),\n'
        '            "message": word("message"),\n',
        '            "end_time": number("end_time"),\n            "message": word("message"),\n',
        "tests/engine/test_cancels.py::test_a_canceled_run_stays_canceled_after_a_crash",
    ),
    mutant(
        "rows are rendered the wrong way round",
        "D7",
        "store/runs.py",
        "        .order_by(runs.c.row_index)\n        .limit(limit)\n",
        "        .order_by(runs.c.id.desc())\n        .limit(limit)\n",
        "tests/engine/test_batches.py::test_lines_are_in_row_order_though_rows_end_in_another",
    ),
    mutant(
        "a row is counted twice",
        "D7",
        "store/transitions.py",
        "values({column.name: column + 1, **spent})",
        "values({column.name: column + 2, **spent})",
        "tests/store/test_journal.py::test_a_batch_counts_each_row_that_ended_once[sqlite-COMPLETED]",
    ),
    mutant(
        "a row may begin twice",
        "D7",
        "store/transitions.py",
        "        if unless_there:\n            statement = statement.on_conflict_do_nothing()\n",
        "        if unless_there:\n            pass\n",
        "tests/store/test_journal.py::test_a_row_begins_once[sqlite]",
    ),
    Mutant(
        "a file is written in its place",
        "D7",
        (
            Change(
                "files/disk.py",
                "        self._file = self._open_unnamed() or self._open_named()\n",
                '        self._file = self._path.open("wb")\n',
            ),
            Change(
                "files/disk.py",
                "        if not self._has_name:\n            self._name(file.fileno())\n"
                "        os.replace(self._part, self._path)\n",
                "",
            ),
        ),
        (
            "tests/files/test_outputs.py::test_a_half_written_file_is_not_to_be_seen",
            "tests/files/test_disk.py::test_the_old_file_stays_until_the_new_one_is_published",
        ),
    ),
    mutant(
        "a refused write is told as done",
        "D8",
        "store/writer.py",
        "            else:\n                told.append((write, self._commits.refusal(write)))\n",
        "            else:\n                told.append((write, [(0, 0) for _ in write.steps]))\n",
        "tests/engine/test_trouble.py::test_while_the_store_refuses_writes_nothing_is_accepted",
    ),
    mutant(
        "a lost commit counts as landed",
        "D8",
        "store/commits.py",
        "        return isinstance(row, tuple) and row[0] >= unknown.n\n",
        "        return isinstance(row, tuple)\n",
        "tests/store/test_writer.py::test_a_commit_that_was_lost_before_it_landed_is_repeated",
    ),
    mutant(
        "running tasks get no time to end",
        "D9",
        "engine/dispatch.py",
        "timeout=0 if at_once else self._grace_s",
        "timeout=0",
        "tests/journeys/test_crash.py::test_sigterm_lets_running_tasks_end_and_keeps_the_rest",
    ),
    mutant(
        "a lock that locks nobody out",
        "D10",
        "engine/lock.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "tests/engine/test_closing.py::test_a_second_engine_on_the_directory_is_refused_and_told_who_has_it",
    ),
    mutant(
        "a run goes on with the newest version",
        "D12",
        "engine/takeovers.py",
        "    version = workflows.get_version(connection, run.version_id)\n    assert version is not None\n    return (",
        "    version = workflows.list_versions(connection, run.workflow_id, limit=1)[0]\n"
        "    assert version is not None\n    return (",
        "tests/engine/test_versions.py::test_a_paused_run_keeps_its_version_over_an_edit_and_a_crash",
    ),
    mutant(
        "advance without its guard",
        "D13",
        "store/transitions.py",
        "        self.advance = self._move(counted, *_mine())\n",
        '        self.advance = self._move(counted, runs.c.id == word("run_id"))\n',
        "tests/store/test_journal.py::test_a_run_that_has_ended_never_changes[sqlite]",
    ),
    mutant(
        "a finished task is written over",
        "D13",
        "store/transitions.py",
        "                where=table.c.status.not_in(FINAL_TASK),\n",
        "",
        "tests/store/test_journal.py::test_a_finished_task_never_changes[sqlite-COMPLETED]",
    ),
    mutant(
        "events are numbered anew with each group",
        "D13",
        "store/transitions.py",
        '    return {"seq": runs.c.seq + number("events"), "stamp": number("stamp")}\n',
        '    return {"seq": number("events"), "stamp": number("stamp")}\n',
        "tests/store/test_journal.py::test_events_are_numbered_without_gaps_over_groups[sqlite]",
    ),
    mutant(
        "a blocking run begins without its receipt",
        "D14",
        "engine/runner.py",
        ", receipt=self._receipt",
        "",
        "tests/engine/test_once.py::test_wherever_it_is_cut_a_request_that_comes_again_is_done_once[run-landed]",
    ),
    mutant(
        "a decision keeps no receipt",
        "D14",
        "engine/decisions.py",
        "            decision = replace(decision, receipts=kept)\n",
        "",
        "tests/engine/test_once.py::test_wherever_it_is_cut_a_request_that_comes_again_is_done_once[decide-landed]",
    ),
    mutant(
        "a key that is taken is passed over",
        "D14",
        "store/transitions.py",
        "self._insert(requests, begun)",
        "self._insert(requests, begun, unless_there=True)",
        "tests/store/test_receipts.py::test_a_run_whose_key_is_taken_does_not_begin_and_nothing_of_it_is_kept[sqlite]",
    ),
    mutant(
        "an answered pause takes another answer",
        "C1",
        "store/transitions.py",
        "                pauses.c.is_open == 1,\n                run_lives,\n",
        "                run_lives,\n",
        "tests/engine/test_pauses.py::test_of_fifty_simultaneous_answers_one_wins",
    ),
    mutant(
        "a cancel leaves the gate open",
        "C3",
        "engine/cancels.py",
        "        for mover in movers:\n            mover.shut()\n",
        "",
        "tests/engine/test_cancels.py::test_while_a_cancel_is_on_its_way_nothing_starts",
    ),
    mutant(
        "a cancel forgets what the run owns",
        "C3",
        "engine/cancels.py",
        "lambda connection: runs.open_owned(connection, run.id)",
        "lambda connection: []",
        "tests/engine/test_cancels.py::test_a_batch_is_canceled_with_all_its_rows",
    ),
    mutant(
        "a cancel is told to nobody else",
        "C3",
        "engine/cluster/cluster.py",
        "        self._dispatch.hear(news.ids)\n",
        "",
        "tests/engine/cluster/test_runs.py::test_a_cancel_reaches_the_worker_that_executes",
    ),
    mutant(
        "a mistake is told with all it knows",
        "A1",
        "api/errors.py",
        '            detail = "Rowel could not do this because of a mistake of its own; its log says more."\n',
        "            import traceback\n\n            detail = traceback.format_exc()\n",
        "tests/api/test_answers.py::test_a_mistake_of_our_own_is_logged_and_told_without_its_trace",
    ),
    mutant(
        "cycles are not looked for",
        "A4",
        "core/checks.py",
        "        for cycle in find_cycles(targets):\n",
        "        for cycle in ():\n",
        "tests/engine/test_versions.py::test_an_impossible_definition_is_refused_with_all_its_problems_and_not_kept",
    ),
)
