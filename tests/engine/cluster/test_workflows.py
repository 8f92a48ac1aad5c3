"""Workflows that several processes change and run."""

import pytest

from rowel.core.errors import NotFound
from rowel.core.status import RunStatus
from rowel.engine.workflows import KEEP
from tests.support.flows import child, flow, output, work

OLD = flow("start>a a>end", a=work(gives={"x": "old"}), end=output(result="a.x"))
NEW = flow("start>a a>end", a=work(gives={"x": "new"}), end=output(result="a.x"))


async def test_what_one_server_changed_the_others_run(told):
    one, other, _ = await told.server(), await told.server(), await told.worker()
    workflow_id = (await one.create_workflow("w", OLD)).id
    first = await other.run(workflow_id, None, timeout_s=20)
    for definition, number, result in ((NEW, 2, "new"), (OLD, 3, "old")):
        await one.update_workflow(workflow_id, "w", definition, KEEP)
        if number == 2:
            await one.run(workflow_id, None, timeout_s=20)
        view = await other.run(workflow_id, None, timeout_s=20)
        assert (view.run.version, view.outputs["end"]) == (number, {"result": result})
    assert first.run.version == 1


async def test_a_worker_runs_the_newest_version_of_a_child(told):
    server, _ = await told.server(), await told.worker()
    part = (await server.create_workflow("part", OLD)).id
    whole = (await server.create_workflow("whole", flow("start>sub", sub=child(part)))).id
    await server.run(whole, None, timeout_s=20)
    await server.update_workflow(part, "part", NEW, KEEP)

    view = await server.run(whole, None, timeout_s=20)
    assert (view.run.status, view.outputs["sub"]) == (RunStatus.COMPLETED, {"result": "new"})


async def test_what_one_server_deleted_no_other_starts(told):
    one, other, _ = await told.server(), await told.server(), await told.worker()
    workflow_id = (await one.create_workflow("w", OLD)).id
    await other.run(workflow_id, None, timeout_s=20)
    await one.delete_workflow(workflow_id)
    with pytest.raises(NotFound):
        await other.start(workflow_id, None)
