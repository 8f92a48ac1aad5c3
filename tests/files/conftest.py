from __future__ import annotations

from pathlib import Path

import pytest

from rowel.files.store import FileStore
from tests.support.buckets import Bucket


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the directory's store keeps its files."""
    return tmp_path / "files"


@pytest.fixture
def directory(root: Path) -> FileStore:
    """A store on a directory that isn't there yet."""
    return FileStore(str(root))


@pytest.fixture
def in_bucket(bucket: Bucket) -> FileStore:
    """A store on a bucket."""
    return FileStore(bucket.url)


@pytest.fixture(params=["directory", "in_bucket"])
def store(request: pytest.FixtureRequest) -> FileStore:
    """A store. The test runs on a directory and on a bucket."""
    found: FileStore = request.getfixturevalue(request.param)
    return found
