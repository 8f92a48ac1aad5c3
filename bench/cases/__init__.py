"""The cases: one file each, with a `TITLE` and `measure(lab)`, which yields `Row`s. A new file is found by itself.

A case that can't be measured raises `NotDone` or `NotInstalled`; then each line of its `ROWS` (work, against, bound)
says why. `ORDER` (100 where absent) says which come first. See `chain.py` for turns beside peers, and
`sandbox.py` for figures of our own.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def find() -> dict[str, ModuleType]:
    """Every case by its name, in order."""
    modules = {
        info.name: importlib.import_module(f"{__name__}.{info.name}")
        for info in pkgutil.iter_modules(__path__)
    }
    return dict(sorted(modules.items(), key=lambda item: (getattr(item[1], "ORDER", 100), item[0])))
