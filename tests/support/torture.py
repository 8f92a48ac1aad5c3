"""Whether tests take their long form: `ROWEL_TORTURE=20` goes twenty times round, where the suite takes samples."""

from __future__ import annotations

import os

#: How often; 0 in the suite.
ROUNDS = int(os.environ.get("ROWEL_TORTURE") or 0)
