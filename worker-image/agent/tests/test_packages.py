"""Which packages kernels find, and which of their files run when a Python starts: run as root in the worker image."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from cellhouse_agent.kernel.launcher import kernel_environment
from cellhouse_kernel.packages import (
    IMAGE_PYTHON,
    OWN_PACKAGES,
    PYTHON,
    USERS_PACKAGES,
    USERS_PROGRAMS,
)
from cellhouse_kernel.privileges import HOME, KERNEL_UID
from tests.with_kernels import WithKernels, fork_server_pid, was_forked

# A planted file that runs leaves a mark: a file named for the uid that ran it, and for the planted file.
MARKS = Path("/tmp/for-test-marks")
MARK = f"import os; open(f'{MARKS}/{{os.getuid()}}-%s', 'w').close()\n"
# Prints where a Python looks for packages, and other facts about itself.
KNOWN = """
import json, site, sys, sysconfig
print(json.dumps([[path for path in sys.path if path], sys.executable, sys.prefix, sys.exec_prefix, site.PREFIXES,
                  sysconfig.get_paths(), help is not None, quit is not None]))
"""


def known_to(python: str) -> list[object]:
    """What a Python prints about itself if it ignores the packages of users."""
    done = subprocess.run(
        [python, "-I", "-c", KNOWN], env=kernel_environment(1), capture_output=True, check=True
    )
    known: list[object] = json.loads(done.stdout)
    return known


def plant(folder: str | Path) -> None:
    """Put a module into the folder, and files that Python might run at its start."""
    Path(folder, "for_test.pth").write_text(MARK % "pth", encoding="utf-8")
    for name in ("sitecustomize", "usercustomize"):
        Path(folder, f"{name}.py").write_text(MARK % name, encoding="utf-8")
    Path(folder, "for_test.py").write_text("ANSWER = 42", encoding="utf-8")


class TestPackages(WithKernels):
    """With real kernels, forked and executed."""

    async def asyncSetUp(self) -> None:
        MARKS.mkdir(mode=0o777)
        MARKS.chmod(0o777)
        self.addCleanup(shutil.rmtree, MARKS)
        self.addCleanup(shutil.rmtree, f"{HOME}/.local", ignore_errors=True)
        await super().asyncSetUp()

    def plant_for_all(self) -> None:
        """Plant files among the packages of an environment until the test ends."""
        names = {*os.listdir(OWN_PACKAGES)}
        plant(OWN_PACKAGES)
        for name in {*os.listdir(OWN_PACKAGES)} - names:
            self.addCleanup(os.unlink, Path(OWN_PACKAGES, name))

    def marks(self) -> set[str]:
        """The names of all marks."""
        return {path.name for path in MARKS.iterdir()}

    async def test_a_kernel_differs_from_plain_python_only_by_the_users_packages(
        self,
    ) -> None:
        for is_forked in (True, False):
            kernel = await self.kernel()
            self.assertEqual(was_forked(await kernel.pid()), is_forked)
            known = await kernel.ask(KNOWN)
            (path, *others) = known_to(PYTHON)
            assert isinstance(path, list)
            self.assertEqual(known, [[*path, USERS_PACKAGES], *others])
            # Only Debian's own `.pth` file makes distutils importable.
            found = "import distutils, json; print(json.dumps(distutils.__name__))"
            self.assertEqual(await kernel.ask(found), "distutils")
            if is_forked:
                os.kill(fork_server_pid(), signal.SIGKILL)

    async def test_the_agents_python_knows_nothing_of_an_environment(self) -> None:
        self.plant_for_all()
        path = known_to(IMAGE_PYTHON)[0]
        assert isinstance(path, list)
        self.assertEqual([entry for entry in path if "local" in entry], [])
        self.assertEqual(self.marks(), set())

    async def test_an_environments_pth_files_run_in_kernels_alone(self) -> None:
        self.plant_for_all()
        Path(OWN_PACKAGES, "further").mkdir()
        self.addCleanup(shutil.rmtree, Path(OWN_PACKAGES, "further"))
        with open(Path(OWN_PACKAGES, "for_test.pth"), "a", encoding="utf-8") as file:
            file.write("further\n")
        # The first fork server has started before these files were planted, so it is replaced.
        await self.launcher.wait_ready()
        os.kill(fork_server_pid(), signal.SIGKILL)
        for is_forked in (False, True):
            with self.subTest(is_forked=is_forked):
                kernel = await self.kernel()
                self.assertEqual(was_forked(await kernel.pid()), is_forked)
                self.assertEqual(self.marks(), {f"{KERNEL_UID}-pth"})
                found = "import for_test, json, sys; print(json.dumps([for_test.ANSWER, sys.path]))"
                answer = await kernel.ask(found)
                assert isinstance(answer, list)
                own = [entry for entry in answer[1] if "packages" in entry]
                self.assertEqual(
                    own,
                    [
                        OWN_PACKAGES,
                        f"{OWN_PACKAGES}/further",
                        "/usr/lib/python3/dist-packages",
                        USERS_PACKAGES,
                    ],
                )
            await self.launcher.wait_ready()
            for mark in MARKS.iterdir():
                mark.unlink()

    async def test_packages_of_the_user_are_found_at_once_and_run_nothing_at_a_start(
        self,
    ) -> None:
        kernel = await self.kernel()
        planting = f"""
        import os, runpy
        MARKS, MARK = {str(MARKS)!r}, {MARK!r}
        try:
            import for_test
        except ModuleNotFoundError:
            os.makedirs({USERS_PACKAGES!r})
        for name in ("for_test.pth", "sitecustomize.py", "usercustomize.py", "numpy.py"):
            open(f"{USERS_PACKAGES}/{{name}}", "w").write(MARK % name)
        open("{USERS_PACKAGES}/for_test.py", "w").write("ANSWER = 42")
        """
        answer = (
            "import for_test, json, numpy; print(json.dumps([for_test.ANSWER, numpy.__file__]))"
        )
        numpy = "/usr/lib/python3/dist-packages/numpy/__init__.py"
        self.assertEqual(await kernel.ask(f"{planting}\n        {answer}"), [42, numpy])
        os.kill(fork_server_pid(), signal.SIGKILL)
        for is_forked in (False, True):
            kernel = await self.kernel()
            self.assertEqual(was_forked(await kernel.pid()), is_forked)
            self.assertEqual(await kernel.ask(answer), [42, numpy])
            await self.launcher.wait_ready()
        self.assertEqual(self.marks(), set())
        # A Python that the user starts runs these files, like any other Python.
        ran = "import subprocess; print(subprocess.run(['python3', '-c', '']).returncode)"
        self.assertEqual(await kernel.ask(ran), 0)
        self.assertEqual(
            self.marks(), {f"{KERNEL_UID}-for_test.pth", f"{KERNEL_UID}-usercustomize.py"}
        )

    async def test_programs_of_the_user_are_found_last_and_by_the_user_alone(self) -> None:
        kernel = await self.kernel()
        self.assertTrue(was_forked(await kernel.pid()))
        path = "import json, os; print(json.dumps(os.environ['PATH'].split(':')))"
        usual = kernel_environment(1)["PATH"].split(":")
        self.assertEqual(await kernel.ask(path), [*usual, USERS_PROGRAMS])
        # The environment in which fork servers start does not have the user's programs.
        self.assertNotIn(USERS_PROGRAMS, usual)
