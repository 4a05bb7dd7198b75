"""Shared parts of the tests of a kernel in a sandbox of E2B: run as root in the worker image."""

import json
from typing import Any

from tests.with_executor import WithExecutor, request

SANDBOX = {"E2B_SANDBOX": "true"}
SHOWN_TYPES = ("execute_result", "display_data")
PROBLEM_TYPES = ("error", "stream", "cellhouse_gap")
# The limit that a gateway sets.
MAX_OUTPUT_BYTES = 33_554_432


class WithSandbox(WithExecutor):
    """A worker without its socket, whose session is a sandbox."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.executor.set_variables(SANDBOX)
        self.count = 0

    async def run_cell(self, code: str) -> list[dict[str, Any]]:
        """Run code that succeeds and prints nothing; returns its results and displays, each by MIME type."""
        self.count += 1
        msg_id = f"cell {self.count}"
        self.executor.submit(request(msg_id, code, max_output_bytes=MAX_OUTPUT_BYTES))
        outcome = (await self.reply(msg_id))["metadata"]["cellhouse"]["outcome"]
        frames = self.frames(msg_id)
        problems = [f["content"] for f in frames if f["header"]["msg_type"] in PROBLEM_TYPES]
        self.assertEqual((outcome, problems), ("finished", []))
        return [f["content"]["data"] for f in frames if f["header"]["msg_type"] in SHOWN_TYPES]

    async def shown(self, code: str) -> dict[str, Any]:
        """Run code that shows a single value; returns the data of that value, by MIME type."""
        (data,) = await self.run_cell(code)
        # Clients of E2B get the data as JSON, so JSON must be able to express it.
        json.dumps(data, allow_nan=False)
        return data
