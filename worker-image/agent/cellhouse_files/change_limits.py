"""How much one list of changes holds. The gateway has the same limits (src/kernel/frames/parseFrame.ts)."""

from __future__ import annotations

MAX_CHANGES = 1_000
# As JSON.
MAX_CHANGES_BYTES = 65_536
