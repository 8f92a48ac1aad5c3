"""What may stand behind the question mark of a path."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from rowel.api.fields import Name, Remark, Seconds, Since, Until
from rowel.core.status import RunStatus, RunType
from rowel.files.rows import MAX_ROWS
from rowel.files.tables import OutputFormat

LAST_PAGE = 1_000_000
LARGEST_PAGE = 100

_Page = Annotated[int, Field(ge=1, le=LAST_PAGE, description="Counts from 1.")]
_PageSize = Annotated[int, Field(ge=1, le=LARGEST_PAGE)]


class _Query(BaseModel):
    model_config = ConfigDict(frozen=True)


class PageQuery(_Query):
    """Which part of a list."""

    page: _Page = 1
    page_size: _PageSize = 10

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size


class OptionalPageQuery(_Query):
    """Which part of a list; all of it where neither is given."""

    page: _Page | None = None
    page_size: _PageSize | None = None

    @property
    def at_most(self) -> int | None:
        return None if self.page is None and self.page_size is None else self.page_size or 10

    @property
    def offset(self) -> int:
        return ((self.page or 1) - 1) * (self.at_most or 0)


class StartQuery(_Query):
    """How a run is to be made."""

    fresh: Annotated[
        bool,
        Field(
            description="Nodes with `cache_s` don't ask the step cache; what they give replaces what is there."
        ),
    ] = False

    @property
    def asked(self) -> list[str] | None:
        """What of it makes the same body another request."""
        return ["fresh"] if self.fresh else None


class WaitQuery(StartQuery):
    timeout: Annotated[
        Seconds, Field(description="How long to wait; past it the answer is 202 and the run goes on.")
    ] = 300.0


class PauseQuery(_Query):
    node_id: Annotated[
        str | None, Field(description="Whose pause is answered, where several are open: else the oldest.")
    ] = None


class RowsQuery(_Query):
    start: Annotated[
        int, Field(ge=0, le=MAX_ROWS, description="The number of the first row; they count from 0.")
    ] = 0
    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = 20


class FormatQuery(_Query):
    format: Annotated[
        OutputFormat,
        Field(description="`csv` and `parquet` are tables: a column for each field of each node."),
    ] = OutputFormat.JSONL


class SlimQuery(_Query):
    slim: Annotated[bool, Field(description="Leave out (as null) definitions, inputs, outputs and logs.")] = (
        False
    )


class RunsQuery(SlimQuery):
    """Which runs. A `cursor` comes from the `Link` header of the list before."""

    status: Annotated[list[RunStatus], Field(description="May be given several times.")] = []
    run_type: Annotated[
        RunType | None, Field(description="Partial runs show only when this asks for them.")
    ] = None
    parent_run_id: str | None = None
    rerun_of: Annotated[str | None, Field(description="Only runs that repeat this one.")] = None
    cursor: str | None = None


class WorkflowRunsQuery(RunsQuery, PageQuery):
    start_date: Annotated[Since | None, Field(description="Runs that began at this time or later.")] = None
    end_date: Annotated[Until | None, Field(description="Runs that began at this time or before.")] = None


class AllRunsQuery(RunsQuery, OptionalPageQuery):
    workflow_id: str | None = None
    since: Annotated[Since | None, Field(description="Runs that began at this time or later.")] = None
    until: Annotated[Until | None, Field(description="Runs that began at this time or before.")] = None
    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = 50


class DatasetQuery(_Query):
    name: Name
    description: Remark = None


Pages = Annotated[PageQuery, Query()]
OptionalPages = Annotated[OptionalPageQuery, Query()]
Wait = Annotated[WaitQuery, Query()]
Start = Annotated[StartQuery, Query()]
OfPause = Annotated[PauseQuery, Query()]
Slim = Annotated[SlimQuery, Query()]
WorkflowRuns = Annotated[WorkflowRunsQuery, Query()]
AllRuns = Annotated[AllRunsQuery, Query()]
OfDataset = Annotated[DatasetQuery, Query()]
OfRows = Annotated[RowsQuery, Query()]
AsFormat = Annotated[FormatQuery, Query()]
