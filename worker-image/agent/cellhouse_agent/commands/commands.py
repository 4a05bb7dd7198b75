"""The commands of a worker. They run concurrently with each other and with all kernels, as soon as a place is free."""

from __future__ import annotations

import asyncio
import signal

from cellhouse_agent.commands.command import Script
from cellhouse_agent.commands.run import CommandRun, OrderCommand
from cellhouse_agent.executions.lane import MAX_QUEUED_REQUESTS
from cellhouse_agent.executions.record import SharedParts
from cellhouse_agent.gateway.requests import ExecuteRequest, TerminalSize

# As many as the gateway's settings allow. Each takes up to eight of the 1,024 descriptors that the agent may have.
MAX_COMMANDS = 64


class Commands:
    """A queue in front of MAX_COMMANDS places. An error that must end the agent becomes the exception of `failure`."""

    def __init__(self, parts: SharedParts, order: OrderCommand) -> None:
        self._parts = parts
        self._order = order
        # The queued commands by their msg_id, in order.
        self._queue: dict[str, CommandRun] = {}
        self._running: dict[str, CommandRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._variables: dict[str, str] = {}
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_full(self) -> bool:
        """Whether no more requests may be queued."""
        return len(self._queue) >= MAX_QUEUED_REQUESTS

    def submit(self, request: ExecuteRequest) -> None:
        """Run a request that was never submitted before, or queue it."""
        self._queue[request.msg_id] = CommandRun(request, self._parts)
        self._fill_places()

    def refuse(self, request: ExecuteRequest) -> None:
        """Answer a request that was interrupted before it arrived."""
        CommandRun(request, self._parts).end_unstarted()

    def interrupt(self, msg_id: str, is_new: bool, number: signal.Signals) -> None:
        """Take this request out of the queue, or interrupt it if it runs, unless this only repeats an interrupt."""
        if running := self._running.get(msg_id):
            if is_new:
                running.interrupt(number)
        elif queued := self._queue.pop(msg_id, None):
            queued.end_unstarted()

    def resize(self, msg_id: str, size: TerminalSize) -> bool:
        """Change the size of a command's terminal; false if there is none."""
        run = self._running.get(msg_id) or self._queue.get(msg_id)
        return run is not None and run.resize(size)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these in the environment of every command that begins later."""
        self._variables = variables

    async def close(self) -> None:
        """Begin no more commands, and kill those that run."""
        self._queue.clear()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def _fill_places(self) -> None:
        while self._queue and len(self._running) < MAX_COMMANDS:
            msg_id = next(iter(self._queue))
            run = self._running[msg_id] = self._queue.pop(msg_id)
            task = asyncio.create_task(self._run(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, run: CommandRun) -> None:
        """Run a command from its turn to its last frame."""
        home = self._parts.home
        try:
            if home:
                # So that its file changes can be reported.
                await home.renewed()
            if run.is_interrupted:
                run.end_unstarted()
            else:
                await run.run(self._order, self._script(run.request))
        except Exception as error:
            if not self.failure.done():
                self.failure.set_exception(error)
            return
        del self._running[run.request.msg_id]
        self._fill_places()

    def _script(self, request: ExecuteRequest) -> Script:
        """The variables of the command itself override those of the session."""
        command = request.command
        assert command
        variables = {**self._variables, **command.environment}
        return Script(request.code, variables, command.working_directory)
