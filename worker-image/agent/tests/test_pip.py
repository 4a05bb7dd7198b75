"""What `pip` says to a user: run as root in the worker image."""

import os
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cellhouse_agent.kernel.launcher import command_environment
from cellhouse_kernel.packages import OWN_PACKAGES
from cellhouse_kernel.privileges import HOME, KERNEL_UID
from cellhouse_pip.run import NO_WAY_OUT

from tests.with_kernels import WithPreloadedKernels
from tests.with_wheels import make_wheel

REFUSAL = "pypi.test is not listed in EGRESS_ALLOW."
# pip's own message about a package that it does not find.
NOT_FOUND = "ERROR: No matching distribution found for for-test"


class Refusing(BaseHTTPRequestHandler):
    """A proxy that refuses every connection."""

    def do_CONNECT(self) -> None:
        """Refuse."""
        self.send_response(403)
        self.send_header("Content-Length", str(len(REFUSAL)))
        self.end_headers()
        self.wfile.write(REFUSAL.encode())

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def refusing_proxy() -> Iterator[str]:
    """Run a proxy that refuses every connection; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class WithPip(unittest.TestCase):
    """A folder of wheels, and a home without anything installed."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(shutil.rmtree, f"{HOME}/.local", ignore_errors=True)

    def pip(
        self, *arguments: str, program: str = "pip", uid: int = KERNEL_UID, **variables: str
    ) -> tuple[int, str]:
        """Run pip as a command of the user does; returns its exit code and its output."""
        done = subprocess.run(
            [program, *arguments],
            env={**command_environment(1), **variables},
            user=uid,
            group=uid,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def install(self, *arguments: str) -> tuple[int, str]:
        """Install from the folder."""
        return self.pip("install", "--no-index", "--find-links", str(self.folder), *arguments)


class TestPip(WithPip):
    """The program `pip`."""

    def test_packages_that_the_image_hides_are_named_in_one_line(self) -> None:
        make_wheel(self.folder, "numpy", "99.1", {"numpy/__init__.py": ""})
        make_wheel(self.folder, "for_test", "1.0", {"for_test.py": ""})
        # The image has the module `json` of this package, but no package `own_json`.
        make_wheel(self.folder, "own_json", "1.0", {"json/__init__.py": "", "own_json.py": ""})
        code, said = self.install("numpy==99.1", "for_test", "own_json")
        self.assertEqual(code, 0, said)
        note = (
            "Note: kernels import the image's own version of these packages: "
            "numpy 2.2.4 (not 99.1), own_json (not 1.0). "
            "Whoever runs Cellhouse can make an environment with other versions."
        )
        self.assertEqual(said.splitlines()[-1], note)
        # The note comes only once: the next command does not install these packages.
        self.assertNotIn("Note:", self.install("for_test")[1])

    def test_there_is_no_note_if_kernels_import_the_installed_package(self) -> None:
        make_wheel(
            self.folder, "for_test", "1.0", {"for_test.py": "", "for_test_too/__init__.py": ""}
        )
        for program in ("pip", "pip3"):
            code, said = self.pip("install", "for_test-1.0-py3-none-any.whl", program=program)
            self.assertEqual(code, 0, said)
            self.assertNotIn("Note:", said)
        # No kernel looks for packages in other folders.
        make_wheel(self.folder, "numpy", "99.1", {"numpy/__init__.py": ""})
        code, said = self.install("--target", "/tmp/for-test-target", "numpy")
        self.addCleanup(shutil.rmtree, "/tmp/for-test-target")
        self.assertEqual(code, 0, said)
        self.assertNotIn("Note:", said)

    def test_without_egress_pip_fails_soon_and_explains_why(self) -> None:
        code, said = self.pip("install", "for-test")
        self.assertEqual(code, 1)
        self.assertEqual(said.splitlines()[-2:], [NOT_FOUND, f"Note: {NO_WAY_OUT}"])
        self.assertNotIn("Retrying", said)
        # pip adds no note to a command for which an index would not help.
        for arguments in (
            ["list", "--pre"],
            ["show", "for-test"],
            ["install", "--no-index", "for-test"],
        ):
            self.assertNotIn("Note:", self.pip(*arguments)[1])

    def test_pip_shows_the_refusal_of_the_proxy(self) -> None:
        with refusing_proxy() as address:
            code, said = self.pip(
                "install", "for-test", HTTPS_PROXY=address, PIP_INDEX_URL="https://pypi.test/simple"
            )
        self.assertEqual(code, 1)
        self.assertEqual(said.splitlines()[-2:], [NOT_FOUND, f"Note: {REFUSAL}"])
        # pip has tried twice, and no more.
        self.assertEqual(said.count("Retrying"), 1)

    def test_root_installs_for_an_environment(self) -> None:
        make_wheel(self.folder, "for_test", "1.0", {"for_test.py": ""})
        where = ["--no-index", "--find-links", str(self.folder)]
        code, said = self.pip("install", *where, "for_test", uid=0, HOME="/root")
        self.assertEqual(code, 0, said)
        self.assertTrue(os.path.exists(f"{OWN_PACKAGES}/for_test.py"))
        # pip removes the folder, too, if nothing else is in it.
        self.addCleanup(os.makedirs, OWN_PACKAGES, exist_ok=True)
        code, said = self.pip("uninstall", "--yes", "for_test", uid=0, HOME="/root")
        self.assertEqual(code, 0, said)


class TestPipMagic(WithPreloadedKernels):
    """`%pip` in a kernel."""

    async def test_pip_advises_a_restart_only_after_another_version_was_imported(self) -> None:
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, folder)
        self.addCleanup(shutil.rmtree, f"{HOME}/.local", ignore_errors=True)
        for version in ("1.0", "2.0"):
            make_wheel(folder, "for_test", version, {"for_test.py": f"VERSION = {version}"})
        kernel = await self.kernel()
        heard = """
        import io, json
        from contextlib import redirect_stdout
        with redirect_stdout(io.StringIO()) as said:
            get_ipython().run_line_magic("pip", "install --no-index --find-links %s for_test==%s")
        import for_test
        print(json.dumps([for_test.VERSION, "restart the kernel" in said.getvalue()]))
        """
        self.assertEqual(await kernel.ask(heard % (folder, "1.0")), [1.0, False])
        self.assertEqual(await kernel.ask(heard % (folder, "2.0")), [1.0, True])
        again = await self.kernel()
        self.assertEqual(await again.ask("import for_test; print(for_test.VERSION)"), 2.0)
