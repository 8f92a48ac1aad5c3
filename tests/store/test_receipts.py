"""A receipt lies in the commit of what it stands for, and stands for it for a day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from rowel.core.records import Answer, Batch, DatasetID, OutputFile, OutputFileID, Receipt, Run
from rowel.core.status import RunStatus, RunType
from rowel.store import receipts
from rowel.store.journal import Changes
from rowel.store.transitions import SWEPT
from tests.support.ledger import NOON, Ledger, decision, facts, make_run, make_task

DAY = timedelta(hours=24)
ANSWER = Answer(200, '{"text":"\\u0000\\ud800 \\u00e9"}')


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Ledger]:
    """The journal of another process."""
    opened = Ledger(database_url)
    yield opened
    await opened.close()


def receipt(run: Run, key: str = "k", **fields: Any) -> Receipt:
    return Receipt(**{"key": key, "fingerprint": "f", "run_id": run.id, "created_at": NOON, **fields})


async def kept(ledger: Ledger, key: str = "k", now: datetime = NOON) -> Receipt | None:
    return await ledger.database.read(lambda connection: receipts.get(connection, key, now))


async def count(ledger: Ledger) -> int:
    return int(await ledger.scalar("SELECT COUNT(*) FROM requests"))


async def has_run(ledger: Ledger, run: Run) -> bool:
    return bool(await ledger.scalar(f"SELECT COUNT(*) FROM runs WHERE id = '{run.id}'"))


async def begins(ledger: Ledger, run: Run, given: Receipt) -> bool:
    """Whether the run began; it has a task and an event."""
    changes = Changes(tasks=[make_task(run, "a")], facts=facts(1), receipt=given)
    try:
        return await ledger.journal.begin(run, changes)
    except Exception:  # noqa: BLE001  # the driver's own
        return False


@pytest.mark.parametrize("answer", [None, ANSWER])
async def test_a_run_begins_with_the_receipt_of_its_request(ledger: Ledger, answer: Answer | None) -> None:
    run = make_run()
    given = receipt(run, answer=answer)

    assert await begins(ledger, run, given)

    assert await kept(ledger) == given
    assert await kept(ledger, "another") is None


async def test_a_batch_begins_with_the_receipt_of_its_request(ledger: Ledger) -> None:
    run = make_run(run_type=RunType.BATCH, output_file_id=OutputFileID("file"))
    batch = Batch(run_id=run.id, dataset_id=DatasetID("d"), total=3)
    file = OutputFile(
        id=OutputFileID("file"),
        run_id=run.id,
        file_name="x.jsonl",
        key="outputs/x.jsonl",
        is_ready=False,
        created_at=NOON,
        updated_at=NOON,
    )
    given = receipt(run, answer=ANSWER)

    assert await ledger.journal.begin(run, Changes(receipt=given), batch=batch, output_file=file)

    assert await kept(ledger) == given


async def test_a_run_whose_key_is_taken_does_not_begin_and_nothing_of_it_is_kept(ledger: Ledger) -> None:
    first, second = make_run(), make_run()
    assert await begins(ledger, first, receipt(first))

    assert not await begins(ledger, second, receipt(second))

    assert not await has_run(ledger, second)
    assert await ledger.tasks(second.id) == {}
    assert await ledger.numbers(second.id) == []
    assert await kept(ledger) == receipt(first)


async def test_a_key_that_is_taken_takes_no_other_run_of_the_commit_with_it(ledger: Ledger) -> None:
    runs = [make_run() for _ in range(9)]
    given = [receipt(run, "k" if place % 3 == 0 else f"k{place}") for place, run in enumerate(runs)]

    began = await asyncio.gather(*[begins(ledger, run, one) for run, one in zip(runs, given, strict=True)])

    assert began.count(False) == 2
    assert [await has_run(ledger, run) for run in runs] == began
    assert all(began[place] for place in range(9) if place % 3)


async def test_of_two_processes_that_get_the_same_request_exactly_one_begins_a_run(
    ledger: Ledger, other: Ledger
) -> None:
    for round_ in range(10):
        one, two = make_run(), make_run()
        key = f"k{round_}"

        began = await asyncio.gather(
            begins(ledger, one, receipt(one, key)), begins(other, two, receipt(two, key))
        )

        assert sorted(began) == [False, True]
        winner = (one, two)[began.index(True)]
        assert await kept(ledger, key) == receipt(winner, key)
        assert [await has_run(ledger, run) for run in (one, two)] == began


async def test_a_key_may_be_used_anew_after_a_day(ledger: Ledger) -> None:
    first, early, late = make_run(), make_run(), make_run()
    assert await begins(ledger, first, receipt(first))
    second = timedelta(seconds=1)
    assert await kept(ledger, now=NOON + DAY - second) == receipt(first)
    assert await kept(ledger, now=NOON + DAY) is None

    assert not await begins(ledger, early, receipt(early, created_at=NOON + DAY - second))
    assert await begins(ledger, late, receipt(late, created_at=NOON + DAY))

    assert await kept(ledger, now=NOON + DAY) == receipt(late, created_at=NOON + DAY)
    assert await count(ledger) == 1


async def test_each_new_receipt_removes_some_whose_time_is_over_and_no_other(ledger: Ledger) -> None:
    old = 2 * SWEPT + 5
    for number in range(old):
        run = make_run()
        moment = NOON + timedelta(seconds=number)
        assert await begins(ledger, run, receipt(run, f"old{number}", created_at=moment))
    young = make_run()
    assert await begins(ledger, young, receipt(young, "young", created_at=NOON + timedelta(hours=23)))
    assert await count(ledger) == old + 1

    left = []
    for number in range(4):
        run = make_run()
        assert await begins(ledger, run, receipt(run, f"new{number}", created_at=NOON + DAY + DAY / 2))
        left.append(await count(ledger))

    assert left == [old + 2 - SWEPT, old + 3 - 2 * SWEPT, 4, 5]
    assert await kept(ledger, "young", NOON + DAY) is not None


@pytest.mark.parametrize(("nodes", "status"), [(["a"], RunStatus.RUNNING), (["a", "b"], RunStatus.PAUSED)])
async def test_a_decision_keeps_the_receipt_that_is_true_of_the_run_then(
    ledger: Ledger, nodes: list[str], status: RunStatus
) -> None:
    run, waiting = await ledger.paused(*nodes)
    given = {
        one: receipt(run, answer=Answer(200, f'"{one}"')) for one in (RunStatus.RUNNING, RunStatus.PAUSED)
    }

    answered = await ledger.journal.decide(run, decision(waiting[0], receipts=given), [])

    assert answered is not None
    assert answered.status is status
    assert await kept(ledger) == given[status]


async def test_a_decision_that_comes_too_late_keeps_no_receipt(ledger: Ledger) -> None:
    run, (pause,) = await ledger.paused("a")
    assert await ledger.journal.decide(run, decision(pause), []) is not None

    assert (
        await ledger.journal.decide(run, decision(pause, receipts={RunStatus.RUNNING: receipt(run)}), [])
        is None
    )

    assert await count(ledger) == 0


async def test_a_decision_whose_key_is_taken_leaves_the_pause_open(ledger: Ledger) -> None:
    run, (first, second) = await ledger.paused("a", "b")
    given = {status: receipt(run, answer=ANSWER) for status in (RunStatus.RUNNING, RunStatus.PAUSED)}
    assert await ledger.journal.decide(run, decision(first, receipts=given), []) is not None

    with pytest.raises(Exception, match=r"(?i)unique"):
        await ledger.journal.decide(run, decision(second, receipts=given), facts(1))

    assert [pause.is_open for pause in await ledger.pauses(run.id) if pause.id == second.id] == [True]
    assert (await ledger.run(run.id)).status is RunStatus.PAUSED


async def test_an_answer_is_kept_once(ledger: Ledger) -> None:
    run = make_run()
    given = receipt(run)
    assert await begins(ledger, run, given)
    answered = receipt(run, answer=ANSWER)

    assert await ledger.journal.answer(answered)
    assert not await ledger.journal.answer(receipt(run, answer=Answer(202, "{}")))

    assert await kept(ledger) == answered


@pytest.mark.parametrize("change", [{"key": "x"}, {"run_id": "x"}, {"created_at": NOON + DAY}])
async def test_an_answer_goes_to_its_own_receipt_alone(ledger: Ledger, change: dict[str, Any]) -> None:
    run = make_run()
    assert await begins(ledger, run, receipt(run))

    assert not await ledger.journal.answer(receipt(run, **{"answer": ANSWER, **change}))

    assert await kept(ledger) == receipt(run)
