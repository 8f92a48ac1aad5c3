"""Reads and saves the records of datasets and output files."""

from __future__ import annotations

from sqlalchemy import Connection, Table, bindparam, delete, select

from rowel.core.records import Dataset, OutputFile
from rowel.store import rows
from rowel.store.dialect import Dialect
from rowel.store.statements import Statement, compile_statement
from rowel.store.tables import datasets, output_files
from rowel.store.writer import Writer


def get(connection: Connection, dataset_id: str) -> Dataset | None:
    row = connection.execute(select(datasets).where(datasets.c.id == dataset_id)).mappings().first()
    return None if row is None else rows.dataset_from_row(row)


def newest(connection: Connection, *, limit: int | None, offset: int = 0) -> list[Dataset]:
    """Datasets, newest first; all of them where `limit` is None."""
    query = select(datasets).order_by(datasets.c.created_at.desc(), datasets.c.id.desc())
    found = connection.execute(query.limit(limit).offset(offset) if limit is not None else query)
    return [rows.dataset_from_row(row) for row in found.mappings()]


def get_output_file(connection: Connection, file_id: str) -> OutputFile | None:
    row = connection.execute(select(output_files).where(output_files.c.id == file_id)).mappings().first()
    return None if row is None else rows.output_file_from_row(row)


def output_files_newest(connection: Connection, *, limit: int | None, offset: int = 0) -> list[OutputFile]:
    """Output files, newest first; all of them where `limit` is None."""
    query = select(output_files).order_by(output_files.c.created_at.desc(), output_files.c.id.desc())
    found = connection.execute(query.limit(limit).offset(offset) if limit is not None else query)
    return [rows.output_file_from_row(row) for row in found.mappings()]


class DatasetWrites:
    """Saves dataset records through the process's one writer."""

    def __init__(self, writer: Writer, dialect: Dialect) -> None:
        self._writer = writer
        self._insert = compile_statement(
            dialect.insert(datasets).values(
                {column.name: bindparam(column.name, None, type_=column.type) for column in datasets.c}
            ),
            dialect.sql,
        )
        self._delete = _deletion(datasets, dialect)
        self._delete_output = _deletion(output_files, dialect)

    async def add(self, dataset: Dataset) -> None:
        await self._writer.write([self._insert.bind(rows.dataset_values(dataset))])

    async def delete(self, dataset_id: str) -> bool:
        """Forget the dataset; False where it is gone already."""
        return (await self._writer.write([self._delete.bind({"key": dataset_id})]))[0] == 1

    async def delete_output_file(self, file_id: str) -> bool:
        """Forget the output file; False where it is gone already."""
        return (await self._writer.write([self._delete_output.bind({"key": file_id})]))[0] == 1


def _deletion(table: Table, dialect: Dialect) -> Statement:
    return compile_statement(delete(table).where(table.c.id == bindparam("key", "")), dialect.sql)
