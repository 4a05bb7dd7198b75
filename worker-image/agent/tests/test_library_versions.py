"""Code that depends on the insides of a library names the version it was checked against: the one in this image."""

import importlib.metadata
import re
import unittest
from pathlib import Path

SOURCES = Path(__file__).parents[1]
SENTENCE = re.compile(r"Checked against ([^\n]+)\.\n")
LIBRARY = re.compile(r"(\w+) ([\d.]*\d)")
# These files must have the sentence.
FILES = (
    "cellhouse_kernel/quick_shell.py",
    "cellhouse_kernel/kernel.py",
)


def checked_against(path: Path) -> list[tuple[str, str]]:
    """The libraries that a file was checked against, and their versions."""
    sentences = SENTENCE.findall(path.read_text("utf-8"))
    return [pair for sentence in sentences for pair in LIBRARY.findall(sentence)]


class LibraryVersions(unittest.TestCase):
    """If a test fails, read what has changed in the library before you change the sentence."""

    def test_installed_versions_are_those_that_each_file_was_checked_against(self) -> None:
        for path in SOURCES.glob("cellhouse_*/**/*.py"):
            for library, version in checked_against(path):
                with self.subTest(f"{path.name}: {library}"):
                    # Debian adds a suffix when it has left out files, as in `2.2.3+dfsg`.
                    installed = importlib.metadata.version(library).split("+", 1)[0]
                    self.assertEqual(installed, version)

    def test_each_file_that_depends_on_the_insides_of_a_library_names_versions(self) -> None:
        for name in FILES:
            with self.subTest(name):
                self.assertTrue(checked_against(SOURCES / name))


if __name__ == "__main__":
    unittest.main()
