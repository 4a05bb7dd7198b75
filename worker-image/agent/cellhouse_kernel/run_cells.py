"""Runs cells and makes their replies as ipykernel does, but asks the shell less for each cell.

Checked against IPython 8.35.0, ipykernel 6.29.5.
"""

from __future__ import annotations

from typing import Any

from IPython.core.async_helpers import _asyncio_runner
from ipykernel.ipkernel import IPythonKernel


class CellKernel(IPythonKernel):
    """An IPythonKernel with a fast path for cells that do not await."""

    # Plain attributes instead of traits: nobody observes these, and they are set for every cell.
    _allow_stdin: Any = False
    _sys_raw_input: Any = None

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        """Run a cell; returns its reply. Raises what ipykernel raises."""
        if self._awaits(code):
            return dict(
                await super().do_execute(
                    code, silent, store_history, user_expressions, allow_stdin, **options
                )
            )
        shell: Any = self.shell
        self._forward_input(allow_stdin)
        try:
            result = shell.run_cell(code, store_history=store_history, silent=silent)
        finally:
            self._restore_input()
        return self._reply_to(result, user_expressions)

    def _awaits(self, code: str) -> bool:
        shell: Any = self.shell
        try:
            transformed = shell.transform_cell(code)
        except Exception:
            # The error is shown when the cell is run.
            return False
        return shell.loop_runner is _asyncio_runner and shell.should_run_async(
            code, transformed_cell=transformed, preprocessing_exc_tuple=None
        )

    def _reply_to(self, result: Any, user_expressions: dict[str, str] | None) -> dict[str, Any]:
        shell: Any = self.shell
        reply: dict[str, Any] = {"status": "ok", "execution_count": shell.execution_count - 1}
        if result.success:
            reply["user_expressions"] = shell.user_expressions(user_expressions or {})
        else:
            early, late = result.error_before_exec, result.error_in_exec
            error = late if early is None else early
            reply |= {
                "status": "error",
                "traceback": shell._last_traceback or [],
                "ename": type(error).__name__,
                "evalue": str(error),
                "user_expressions": {},
            }
        payload = shell.payload_manager.read_payload()
        if payload:
            shell.payload_manager.clear_payload()
        return reply | {"payload": payload}
