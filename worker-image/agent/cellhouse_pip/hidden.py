"""Finds packages that pip has just installed for the user, but that no kernel imports.

A kernel looks for packages of the image first. So if the image has a package, too, kernels keep the image's version.
"""

from __future__ import annotations

import site
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

# More are only counted.
MAX_NAMED = 10


class Hidden(NamedTuple):
    """A package that was installed, and the version that the image has. None: that version is not known."""

    name: str
    version: str
    image_version: str | None

    def __str__(self) -> str:
        if self.image_version:
            return f"{self.name} {self.image_version} (not {self.version})"
        return f"{self.name} (not {self.version})"


class Installed:
    """What the user had installed before pip ran."""

    def __init__(self) -> None:
        self._folder = Path(site.getusersitepackages())
        self._before = self._stamps()

    def note(self) -> str | None:
        """What to say of the packages that were installed since then; None if kernels import them all."""
        if not site.ENABLE_USER_SITE:
            return None
        hidden = sorted(self._hidden(), key=lambda package: package.name.lower())
        if not hidden:
            return None
        more = [f"and {len(hidden) - MAX_NAMED} more"] if len(hidden) > MAX_NAMED else []
        named = ", ".join([*map(str, hidden[:MAX_NAMED]), *more])
        return (
            f"kernels import the image's own version of what it has already: {named}. "
            "Whoever runs Cellhouse can make an environment with other versions."
        )

    def _hidden(self) -> Iterator[Hidden]:
        image = [path for path in sys.path if not Path(path).is_relative_to(Path.home())]
        for name, stamp in self._stamps().items():
            if self._before.get(name) == stamp:
                continue
            package = Distribution.at(self._folder / name)
            has = {found.version for found in distributions(name=package.name, path=image)}
            if package.version not in has and any(
                _is_found(module, image) for module in _modules(package)
            ):
                yield Hidden(package.name, package.version, next(iter(has), None))

    def _stamps(self) -> dict[str, int]:
        """The folders that describe what is installed, and when each was made."""
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
    """Whether the module is there; a folder that only holds other packages does not count."""
    spec = PathFinder.find_spec(module, path)
    return spec is not None and spec.origin is not None
