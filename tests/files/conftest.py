from __future__ import annotations

from pathlib import Path

import pytest

from rowel.files.store import FileStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the store keeps its files."""
    return tmp_path / "files"


@pytest.fixture
def store(root: Path) -> FileStore:
    """A store on a directory that isn't there yet."""
    return FileStore(str(root))
