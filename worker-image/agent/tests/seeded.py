"""
The one seed of all random tests, from the environment variable SEED. `npm test` always makes the same choices, so a
failure happens again; `npm run test:long` takes a new seed and prints it (test/support/seeded.ts).
"""

import os

SEED = int(os.environ.get("SEED", "1"))
SEEDS_PER_RUN = 1_000_000


def seeds(count: int) -> range:
    """As many seeds, of which no other run has any."""
    first = SEED * SEEDS_PER_RUN
    return range(first, first + count)
