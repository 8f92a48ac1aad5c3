"""`python -m rowel` is the `rowel` command."""

from __future__ import annotations

from rowel.cli.main import main

if __name__ == "__main__":
    main()
