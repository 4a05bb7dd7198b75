"""The kernel of one context: one at a time, each replaced by the next.

States: starting -> ready -> ended -> starting ... . If a worker's first kernel cannot be started, the worker ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cellhouse_agent.gateway.requests import CellOptions, Surroundings, variables_content
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.kernel.launcher import KernelLauncher
from cellhouse_agent.kernel.link import KernelLink, KernelMessage
from cellhouse_agent.kernel.process import NO_CPU_USE, CpuUse, KernelProcess
from cellhouse_agent.log import log_event

# A kernel that is not forked takes about a second on an idle machine. Thirty that start together on two cores take far
# longer.
START_TIMEOUT_SECONDS = 60.0
# A start may fail when memory is short for a moment. More tries would not help.
MAX_START_ATTEMPTS = 3


class KernelStartError(Exception):
    """No kernel can be started. The message says why. It has no user data: no user code has run in that kernel."""


class Kernel:
    """Starts, ends and talks to the kernel of one context."""

    def __init__(
        self,
        launcher: KernelLauncher,
        max_message_bytes: int,
        on_message: Callable[[str, KernelMessage], None],
        working_directory: str | None = None,
    ) -> None:
        """Each kernel begins in `working_directory`, or in the home if that is None or cannot be entered."""
        self._working_directory = working_directory
        self._launcher = launcher
        self._max_message_bytes = max_message_bytes
        self._on_message = on_message
        self._process: KernelProcess | None = None
        self._link: KernelLink | None = None
        self._variables: dict[str, str] = {}
        # The facts that the kernel reported about itself before it got any code.
        self.facts: JsonObject = {}
        self.generation = 0
        self.is_ready = False
        self._exited = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def has_exited(self) -> bool:
        """Whether the process of the current kernel has ended."""
        return self._exited.is_set()

    @property
    def has_lost_link(self) -> bool:
        """Whether the current kernel closed its link, or became another program, and was killed for it."""
        return self._process is not None and self._process.has_lost_link

    @property
    def exit_code(self) -> int | None:
        """The exit code of the current kernel: negative for a signal, None while it runs or if unknown."""
        return self._process.exit_code if self._process else None

    @property
    def process(self) -> KernelProcess:
        """The process of the current kernel, which has been started."""
        assert self._process
        return self._process

    @property
    def process_id(self) -> int | None:
        """The process of the current kernel."""
        return self._process.pid if self._process else None

    @property
    def cpus(self) -> int:
        """How many CPUs all processes of this worker may use together."""
        return self._launcher.cpus

    def cpu(self) -> CpuUse:
        """The CPU use of the current kernel's process."""
        return self._process.cpu() if self._process else NO_CPU_USE

    async def wait_exited(self) -> None:
        """Return when the process of the current kernel has ended."""
        await self._exited.wait()

    async def start(self) -> None:
        """Start a fresh kernel and return when it is ready; raises KernelStartError. After a cancel, call `end`."""
        for attempt in range(1, MAX_START_ATTEMPTS + 1):
            reason = await self._try_start()
            if reason is None:
                self.generation += 1
                self.is_ready = True
                return
            log_event("kernel_start_failed", attempt=attempt, reason=reason)
            await self.end()
        raise KernelStartError(reason or "unknown")

    async def _try_start(self) -> str | None:
        """Make one attempt; returns the reason if it failed."""
        try:
            process = await self._launcher.launch()
        except OSError as error:
            return f"no process can be made: {error.strerror}"
        self._process = process
        self._exited = asyncio.Event()
        self._watch = asyncio.create_task(self._watch_exit(process, self._exited))
        link = KernelLink(
            process.link, self._max_message_bytes, self._on_message, process.end_if_deaf
        )
        self._link = link
        self._send_variables()
        if self._working_directory:
            link.send("", "directory_request", {"path": self._working_directory})
        probe = asyncio.create_task(link.probe())
        try:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait(
                [probe, self._watch], timeout=START_TIMEOUT_SECONDS, return_when=first
            )
        finally:
            probe.cancel()
        if probe.done():
            probe.result()
            self.facts = kernel_facts(link.kernel_info)
            return None
        if not process.has_exited:
            return f"no answer within {START_TIMEOUT_SECONDS:.0f} s"
        return f"it ended with {process.exit_code}: {process.output_tail}"

    async def _watch_exit(self, process: KernelProcess, exited: asyncio.Event) -> None:
        await process.wait()
        self.is_ready = False
        exited.set()

    def halt(self) -> None:
        """Kill the kernel and all that it started, and pass on the messages that the kernel had sent by then.

        It returns immediately. Freeing the memory of the processes may take longer: `end` waits for that.
        """
        self.is_ready = False
        if self._process:
            self._process.kill_tree()
        if self._link:
            self._link.drain_rest()
            if self._link.malformed_messages:
                log_event("malformed_messages", count=self._link.malformed_messages)
            self._link.close()
            self._link = None

    async def end(self) -> None:
        """End the kernel and all that it started. Raises UnkillableProcesses."""
        self.halt()
        if self._process:
            await self._process.end_tree()

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these in the kernel's environment before the next code, and in that of every kernel after this one."""
        if variables == self._variables:
            return
        self._variables = variables
        self._send_variables()

    def _send_variables(self) -> None:
        if self._link and self._variables:
            # The link keeps the order, so the kernel has them before any code that is sent later.
            self._link.send("", "variables_request", variables_content(self._variables))

    def execute(
        self,
        msg_id: str,
        code: str,
        end_key: str = "",
        surroundings: Surroundings | None = None,
        may_ask: bool = False,
        options: CellOptions = CellOptions(),
    ) -> None:
        """Send code to a ready kernel. The last message about it is an `idle` that carries `end_key`."""
        content = code_content(code, may_ask, options)
        self.send(msg_id, "execute_request", content, code_metadata(end_key, surroundings))

    def send(
        self, msg_id: str, msg_type: str, content: JsonObject, metadata: JsonObject | None = None
    ) -> None:
        """Send a request to a ready kernel."""
        if self._link:
            self._link.send(msg_id, msg_type, content, metadata)

    def answer(self, msg_id: str, content: JsonObject) -> None:
        """Answer a question that the code of this request asked."""
        self.send(msg_id, "input_reply", content)

    def when_sent(self, then: Callable[[], None]) -> None:
        """Call `then` when the kernel's socket has taken all requests, perhaps at once. A later `then` replaces it."""
        if self._link:
            self._link.when_sent(then)

    def interrupt(self) -> None:
        """Send SIGINT to the kernel."""
        if self._process:
            self._process.interrupt()


# The longest text that is passed on. The banner is the longest text of a kernel.
MAX_FACT_CHARACTERS = 1_000
OF_KERNEL = ("protocol_version", "implementation", "implementation_version", "banner")
OF_LANGUAGE = (
    "name",
    "version",
    "mimetype",
    "file_extension",
    "pygments_lexer",
    "nbconvert_exporter",
)


def kernel_facts(content: JsonObject) -> JsonObject:
    """The facts that a kernel reports about itself before any user code runs in it. A missing fact becomes empty text.

    `content` is that of its `kernel_info_reply`.
    """
    language = content.get("language_info")
    facts: JsonObject = _texts(content, OF_KERNEL)
    facts["language"] = _texts(language if isinstance(language, dict) else {}, OF_LANGUAGE)
    return facts


def _texts(content: JsonObject, names: tuple[str, ...]) -> JsonObject:
    texts: JsonObject = {}
    for name in names:
        value = content.get(name)
        texts[name] = value[:MAX_FACT_CHARACTERS] if isinstance(value, str) else ""
    return texts


def code_content(code: str, may_ask: bool, options: CellOptions) -> JsonObject:
    """The content of the message: the code, how it is run, and whether somebody can answer its questions."""
    return {
        "code": code,
        "silent": options.silent,
        "store_history": options.store_history,
        "user_expressions": {**options.user_expressions},
        "allow_stdin": may_ask,
        "stop_on_error": False,
    }


def code_metadata(end_key: str, surroundings: Surroundings | None) -> JsonObject:
    """The metadata of the message: the key that ends the execution, and the variables and folder of this code alone."""
    metadata: JsonObject = {"end_key": end_key}
    if surroundings:
        metadata["surroundings"] = surroundings.for_kernel()
    return metadata
