"""User code finds no trace of how its kernel was started, and cannot touch another kernel: run as root in the image."""

import asyncio
import os
import signal

from cellhouse_agent.kernel.launcher import KernelLauncher
from cellhouse_agent.kernel.process import EXIT_AFTER_LINK_SECONDS
from cellhouse_kernel.privileges import KERNEL_NICENESS, KERNEL_OOM_SCORE, KERNEL_UID
from tests.with_kernels import (
    PATIENCE_SECONDS,
    PrintingKernel,
    WithKernels,
    WithPreloadedKernels,
    fork_server_pid,
    was_forked,
)

# All that user code can see of its own process, as far as it depends on the start. Facts that must differ are left out.
SEEN = """
import gc, json, multiprocessing, os, resource, signal, stat, subprocess, sys, threading, psutil

def attempt(what):
    try:
        return what()
    except Exception as error:
        return type(error).__name__

def written(path):
    with open(path, "w") as file:
        file.write("")
    return "written"

def stat_of(path):
    found = os.stat(path)
    return [stat.filemode(found.st_mode), found.st_uid, found.st_gid]

def in_child(method):
    queue = multiprocessing.get_context(method).SimpleQueue()
    child = multiprocessing.get_context(method).Process(target=queue.put, args=(os.getuid(),))
    child.start()
    child.join()
    return queue.get()

def lines_of(path, *names):
    with open(path) as file:
        return [line.split() for line in file if line.partition(":")[0] in names]

process = psutil.Process()
traced = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
# Until `cat` answers, it may have its libraries open, which would change the number of its descriptors.
traced.stdin.write(b"started\\n")
traced.stdin.flush()
traced.stdout.readline()
seen = {
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "is its own session and group": os.getsid(0) == os.getpgid(0) == os.getpid(),
    "priority": os.getpriority(os.PRIO_PROCESS, 0),
    "oom": open("/proc/self/oom_score_adj").read().strip(),
    "folder": os.getcwd(),
    "umask": os.umask(0o22),
    "limits": [resource.getrlimit(getattr(resource, n)) for n in sorted(dir(resource)) if n.startswith("RLIMIT_")],
    "environ": {k: v for k, v in os.environ.items() if k != "MPLCONFIGDIR"},
    "/proc/self/environ": attempt(lambda: open("/proc/self/environ").close()),
    "status": lines_of("/proc/self/status", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
                       "Seccomp", "SigBlk", "SigIgn", "SigCgt", "ShdPnd", "SigPnd", "TracerPid"),
    "owner of /proc/self": stat_of("/proc/self"),
    "owner of its files": stat_of("/proc/self/environ"),
    "standard descriptors": [os.readlink(f"/proc/self/fd/{fd}").partition(":")[0] for fd in range(3)],
    "descriptors": sorted(os.readlink(f"/proc/self/fd/{fd}").partition(":")[0]
                          for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
    "stdin": sys.__stdin__.read(),
    "/dev/stdout": attempt(lambda: written("/dev/stdout")),
    "/dev/stderr": attempt(lambda: written("/dev/stderr")),
    "own memory": attempt(lambda: open("/proc/self/mem", "rb").close()),
    "own io": attempt(lambda: bool(process.io_counters())),
    "threads": threading.active_count(),
    "psutil": [attempt(lambda: process.name() != ""), attempt(lambda: len(process.environ()) > 5),
               attempt(lambda: process.username()), attempt(lambda: len(process.open_files()) >= 0)],
    "child's fds": attempt(lambda: len(os.listdir(f"/proc/{traced.pid}/fd"))),
    "subprocess": subprocess.run(["id", "-u"], capture_output=True, text=True).stdout,
    "multiprocessing": [attempt(lambda: in_child(m)) for m in ("fork", "spawn", "forkserver")],
    "flags": [str(sys.flags), sys.path, sys.executable, __name__],
    "garbage collector": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
    "signals": [str(signal.getsignal(n)) for n in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE)],
}
traced.kill()
print(json.dumps(seen))
"""
# Tries to write or read another process of the same user.
TOUCHED = """
import json, os
def attempt(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
folder = "/proc/%d"
print(json.dumps([
    attempt(lambda: open(f"{folder}/mem", "r+b").close()),
    attempt(lambda: open(f"{folder}/environ").close()),
    attempt(lambda: os.readlink(f"{folder}/cwd")),
    attempt(lambda: os.listdir(f"{folder}/fd")),
    attempt(lambda: open(f"{folder}/oom_score_adj", "w").close()),
]))
"""
# The states of all preloaded sources of random numbers, and numbers drawn from them.
DRAWN = """
import gc, json, multiprocessing, random, tempfile, uuid
import numpy as np
gc.unfreeze()
objects = gc.get_objects()
states = [repr(o.getstate()) for o in objects if type(o) is random.Random]
states += [repr(o.get_state()) for o in objects if isinstance(o, np.random.RandomState)]
print(json.dumps(states + [
    repr(random.random()), repr(np.random.random()), repr(np.random.default_rng().random()), str(uuid.uuid4()),
    str(uuid.uuid1()), tempfile.mktemp(), multiprocessing.current_process().authkey.hex(),
]))
"""


class TestForkedKernel(WithKernels):
    """With fork servers that are programs of their own, as in a worker."""

    async def test_user_code_sees_the_same_in_a_forked_and_an_executed_kernel(self) -> None:
        forked = await self.kernel()
        self.assertTrue(was_forked(await forked.pid()))
        in_forked = await forked.ask(SEEN)
        os.kill(fork_server_pid(), signal.SIGKILL)
        executed = await self.kernel()
        self.assertFalse(was_forked(await executed.pid()))
        in_executed = await executed.ask(SEEN)
        assert isinstance(in_forked, dict) and isinstance(in_executed, dict)
        for name, seen in in_executed.items():
            with self.subTest(name):
                self.assertEqual(in_forked[name], seen)
        ids = [KERNEL_UID] * 3
        self.assertEqual(in_forked["ids"], [ids, ids, []])
        self.assertEqual(in_forked["oom"], str(KERNEL_OOM_SCORE))
        self.assertEqual(in_forked["priority"], KERNEL_NICENESS)
        # A kernel is not dumpable (docs/internals/kernel.md).
        self.assertEqual(in_forked["owner of its files"][1], 0)
        self.assertEqual(in_forked["/proc/self/environ"], "PermissionError")
        self.assertEqual(in_forked["/dev/stdout"], "written")
        self.assertEqual(in_forked["multiprocessing"], [KERNEL_UID] * 3)

    async def test_a_kernel_can_touch_its_own_programs_but_no_other_kernel(self) -> None:
        forked = await self.kernel()
        self.assertTrue(was_forked(await forked.pid()))
        os.kill(fork_server_pid(), signal.SIGKILL)
        executed = await self.kernel()
        self.assertFalse(was_forked(await executed.pid()))
        for one, other in ((forked, executed), (executed, forked)):
            touched = await one.ask(TOUCHED % await other.pid())
            self.assertEqual(touched, ["PermissionError"] * 5)
        # A program can be touched as soon as it is executed, so this one prints a line then.
        start = (
            "import subprocess\n"
            "program = subprocess.Popen(['sh', '-c', 'echo; sleep 60'], stdout=subprocess.PIPE)\n"
            "program.stdout.readline()\n"
            "print(program.pid)"
        )
        started = await forked.ask(start)
        assert isinstance(started, int)
        touched = await forked.ask(TOUCHED % started)
        assert isinstance(touched, list)
        # The first result depends on the host: with the Yama module, a kernel cannot write its programs' memory.
        self.assertEqual(touched[1:], [None] * 4)

    async def test_numerical_threads_work_after_the_fork(self) -> None:
        launcher = KernelLauncher(cpus=2)
        self.addAsyncCleanup(launcher.close)
        launcher.start()
        kernel = PrintingKernel(launcher)
        self.addAsyncCleanup(kernel.end)
        await kernel.start()
        code = "import numpy as np; a = np.ones((600, 600)); print((a @ a).sum())"
        self.assertEqual(await kernel.ask(code), 600.0**3)


class TestAnyKernel(WithPreloadedKernels):
    """Facts that hold for a kernel of any fork server."""

    async def test_a_kernel_that_another_kernel_kills_ends_with_that_signal(self) -> None:
        one, other = await self.kernel(), await self.kernel()
        pid = await one.pid()
        await one.ask(f"import os; os.kill({await other.pid()}, 9); print(0)")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await other.wait_exited()
        self.assertEqual((other.exit_code, one.exit_code), (-signal.SIGKILL, None))
        self.assertEqual(await one.pid(), pid)

    async def test_the_exit_code_is_known_even_if_the_reaper_reports_it_late(self) -> None:
        kernel = await self.kernel()
        reaper = await kernel.ask("import os; print(os.getppid())")
        assert isinstance(reaper, int)
        os.kill(reaper, signal.SIGSTOP)
        kernel.execute("ends", "import os; os._exit(7)")
        await asyncio.sleep(10 * EXIT_AFTER_LINK_SECONDS)
        os.kill(reaper, signal.SIGCONT)
        await kernel.wait_exited()
        self.assertEqual(kernel.exit_code, 7)
        self.assertFalse(kernel.has_lost_link)

    async def test_two_kernels_draw_different_numbers(self) -> None:
        first, second = [await (await self.kernel()).ask(DRAWN) for _ in range(2)]
        assert isinstance(first, list) and isinstance(second, list)
        # At least the sources of Python, numpy and tempfile, and seven draws.
        self.assertGreater(len(first), 9)
        self.assertEqual(set(first) & set(second), set())

    async def test_a_figure_needs_no_font_search_and_warns_of_nothing(self) -> None:
        kernel = await self.kernel()
        code = """
        import json, logging, os, warnings
        said = []
        logging.getLogger().addHandler(logging.Handler())
        logging.getLogger("matplotlib").addFilter(said.append)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import matplotlib, matplotlib.pyplot as plt
            plt.plot([1, 2])
            plt.close()
            folder = matplotlib.get_configdir()
        print(json.dumps([len(said), len(caught), os.access(folder, os.W_OK), os.environ["MPLCONFIGDIR"] == folder]))
        """
        self.assertEqual(await kernel.ask(code), [0, 0, True, True])
