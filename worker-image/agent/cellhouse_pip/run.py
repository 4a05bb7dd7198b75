"""Runs pip, and prints a note if pip has installed packages that no kernel imports, or reaches no index of packages.

It is a program of the user, without privileges.
"""

from __future__ import annotations

import http.client
import os
import site
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pip._internal.cli.main import main as pip
from pip._internal.commands import create_command

# pip's exit code when the command was understood and has failed.
FAILED = 1


def main(arguments: list[str]) -> int:
    """Run pip with these arguments; returns its exit code."""
    if not proxy_of(os.environ):
        # There is no proxy, so another attempt does not help.
        os.environ.setdefault("PIP_RETRIES", "0")
    installed = UserPackages()
    code = int(pip(arguments))
    note = None
    if code == 0 and "install" in arguments:
        note = installed.note()
    elif code == FAILED:
        note = no_index_note(arguments)
    if note:
        print(f"Note: {note}", file=sys.stderr, flush=True)
    return code


# Further packages are only counted.
MAX_NAMED = 10


class HiddenPackage(NamedTuple):
    """A package that was installed, and the version that the image has. None: that version is not known."""

    name: str
    version: str
    image_version: str | None

    def __str__(self) -> str:
        if self.image_version:
            return f"{self.name} {self.image_version} (not {self.version})"
        return f"{self.name} (not {self.version})"


class UserPackages:
    """The packages that the user had installed before pip ran.

    A kernel looks for packages of the image first. So if the image has a package, too, kernels keep the image's
    version, and do not import what pip has installed.
    """

    def __init__(self) -> None:
        self._folder = Path(site.getusersitepackages())
        self._before = self._stamps()

    def note(self) -> str | None:
        """The note on packages that pip has installed; None if kernels import them all."""
        if not site.ENABLE_USER_SITE:
            return None
        hidden = sorted(self._hidden(), key=lambda package: package.name.lower())
        if not hidden:
            return None
        more = [f"and {len(hidden) - MAX_NAMED} more"] if len(hidden) > MAX_NAMED else []
        named = ", ".join([*map(str, hidden[:MAX_NAMED]), *more])
        return (
            f"kernels import the image's own version of these packages: {named}. "
            "Whoever runs Cellhouse can make an environment with other versions."
        )

    def _hidden(self) -> Iterator[HiddenPackage]:
        image = [path for path in sys.path if not Path(path).is_relative_to(Path.home())]
        for name, stamp in self._stamps().items():
            if self._before.get(name) == stamp:
                continue
            package = Distribution.at(self._folder / name)
            has = {found.version for found in distributions(name=package.name, path=image)}
            if package.version not in has and any(
                _is_found(module, image) for module in _modules(package)
            ):
                yield HiddenPackage(package.name, package.version, next(iter(has), None))

    def _stamps(self) -> dict[str, int]:
        """The `.dist-info` folders of the installed packages, and when each was changed last."""
        try:
            return {
                folder.name: folder.stat().st_mtime_ns
                for folder in self._folder.iterdir()
                if folder.suffix == ".dist-info"
            }
        except OSError:
            # There is no such folder yet.
            return {}


def _modules(package: Distribution) -> set[str]:
    """The names under which the package is imported."""
    first_parts = {
        file.parts[0] for file in package.files or [] if ".dist-info" not in file.parts[0]
    }
    return {name for part in first_parts if (name := part.partition(".")[0]).isidentifier()}


def _is_found(module: str, path: list[str]) -> bool:
    """Whether the path has this module; a namespace package does not count."""
    spec = PathFinder.find_spec(module, path)
    return spec is not None and spec.origin is not None


# The commands that get packages from an index.
FETCHING = ("download", "index", "install", "wheel")
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "PIP_PROXY")
PORTS = {"https": 443, "http": 80}
REFUSED = 403
ANSWER_TIMEOUT_SECONDS = 10
# The proxy answers in a sentence.
MAX_ANSWER_BYTES = 1_000
NO_WAY_OUT = (
    "this session reaches no package index, because it has no network. Install from files in the session "
    "(pip install --no-index --find-links FOLDER NAME), or ask whoever runs Cellhouse for an environment that has the "
    "packages, or to allow an index (EGRESS_ALLOW)."
)


def proxy_of(environment: Mapping[str, str]) -> str | None:
    """The address of the proxy, if there is one."""
    return next((environment[name] for name in PROXY_VARIABLES if environment.get(name)), None)


def no_index_note(arguments: list[str]) -> str | None:
    """The note on a failed command with these arguments; None if it needs no index, or no proxy refuses one.

    A worker has no network. If the gateway allows it, code reaches other hosts through the gateway's proxy, which
    refuses the hosts that the setting EGRESS_ALLOW does not list.
    """
    command = next((name for name in arguments if name in FETCHING), None)
    if not command:
        return None
    options, _ = create_command(command).parse_args([name for name in arguments if name != command])
    if options.no_index:
        return None
    proxy = options.proxy or proxy_of(os.environ)
    if not proxy:
        return NO_WAY_OUT
    answers = (_refusal(proxy, url) for url in (options.index_url, *options.extra_index_urls))
    return next((answer for answer in answers if answer), None)


def _refusal(proxy: str, url: str) -> str | None:
    """The proxy's answer if it refuses the host of this index; None if it does not."""
    index, way = urlsplit(url), urlsplit(proxy)
    connection = http.client.HTTPConnection(
        way.hostname or "", way.port, timeout=ANSWER_TIMEOUT_SECONDS
    )
    try:
        port = index.port or PORTS.get(index.scheme, 0)
        connection.request("CONNECT", f"{index.hostname}:{port}")
        answer = connection.getresponse()
        if answer.status != REFUSED:
            return None
        return " ".join(answer.read(MAX_ANSWER_BYTES).decode(errors="replace").split())
    except (OSError, http.client.HTTPException):
        # pip has met the same error, and has reported it.
        return None
    finally:
        connection.close()
