"""Which packages a process of the worker finds, and whose code runs when it starts.

When Python starts, it runs the code in `.pth` files, also in those of /usr/local, where an environment has its
packages. The agent and its processes begin as root. So they begin with a Python of their own that knows only Debian's
packages: the virtual environment of IMAGE_PYTHON (Dockerfile). Nothing that an environment installs with pip runs in
the agent.

Two kinds of processes find the environment's packages once they have changed to their own user (`find_packages`): a
fork server, to preload modules, and a kernel. Only a kernel also runs the environment's `.pth` files, as the user, and
finds the packages that the user has installed (`find_users_packages`). The user's packages come last, and can only be
imported: no `.pth` file and no `usercustomize` of the user runs in a kernel (decision 0065).
"""

from __future__ import annotations

import os
import site
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

from cellhouse_kernel.privileges import HOME

IMAGE_PYTHON = "/usr/lib/cellhouse/bin/python3"
# The Python of user code and of the programs that it starts.
PYTHON = "/usr/bin/python3"
# The argument of the worker's first fork server. Only this one may import the modules that the environment names
# (preload.py), because no code of the user has run yet. Such a module may read files of the home, and run code that
# they name. In a later fork server, that could be code of the user, with the fork server's privileges.
FIRST_FORK_SERVER = "first"
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"
# The packages that the environment has installed with pip.
OWN_PACKAGES = f"/usr/local/lib/{VERSION}/dist-packages"
# The packages that the user has installed with pip, and the programs that came with them.
USERS_PACKAGES = f"{HOME}/.local/lib/{VERSION}/site-packages"
USERS_PROGRAMS = f"{HOME}/.local/bin"


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of the image as a program. Isolated: it imports nothing from the user's files."""
    return [IMAGE_PYTHON, "-I", "-m", module, *arguments]


def find_packages() -> None:
    """From now on, find the environment's packages, before Debian's; do nothing if that was done already.

    Call it as a user other than root: it runs the `.pth` files of Debian's packages.
    """
    if sys.prefix == sys.base_prefix:
        return
    where = sys.path.index(f"{sys.prefix}/lib/{VERSION}/site-packages")
    sys.path[where : where + 1] = [OWN_PACKAGES] if os.path.isdir(OWN_PACKAGES) else []
    sys.executable = PYTHON
    sys.prefix = sys.exec_prefix = sys.base_prefix
    site.PREFIXES = [sys.prefix, sys.exec_prefix]
    site.addsitedir(DEBIAN_PACKAGES)


def find_users_packages() -> None:
    """Also find the user's packages, last, even if installed later. Call it as the user, without privileges."""
    end = len(sys.path)
    site.addsitedir(OWN_PACKAGES)
    # The folders that `.pth` files have added are the environment's, so they come before Debian's.
    added = sys.path[end:]
    del sys.path[end:]
    where = sys.path.index(DEBIAN_PACKAGES)
    sys.path[where:where] = added
    sys.path.append(USERS_PACKAGES)
    # If there is no such folder yet, Python's own finder would remember that for good.
    sys.path_importer_cache[USERS_PACKAGES] = FileFinder(
        USERS_PACKAGES,
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (SourceFileLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )
    os.environ["PATH"] = with_users_programs(os.environ["PATH"])


def with_users_programs(path: str) -> str:
    """The search path of the user's processes. A process with privileges must find no program of the user."""
    return f"{path}:{USERS_PROGRAMS}"
