"""What the helper itself may use, however hostile a tree is."""

from __future__ import annotations

import resource

# Its memory is a few MiB. If a tree would take more, the operation fails.
MAX_MEMORY_BYTES = 256 * 1_048_576
# A few for each operation that is under way.
MAX_OPEN_FILES = 256


def limit_resources() -> None:
    """Set this process's limits; raises OSError or ValueError when they are refused."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
