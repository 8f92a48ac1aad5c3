from __future__ import annotations

from pathlib import Path

import pytest

from rowel.files.store import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A store on an empty directory."""
    return FileStore(str(tmp_path / "files"))
