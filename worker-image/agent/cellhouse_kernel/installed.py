"""Lists the packages that the build of an environment has installed, as JSON. Runs once, at the end of the build.

    python3 -m cellhouse_kernel.installed FILE

FILE has the Debian packages from before the build, one a line: name and version.
"""

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

_QUERY = ["dpkg-query", "-W", "-f", "${binary:Package} ${Version}\\n"]


def main(before: str) -> None:
    """Prints the list: first Debian packages that are new or were changed, then those of pip."""
    known = set(Path(before).read_text(encoding="utf-8").splitlines())
    now = subprocess.run(_QUERY, check=True, capture_output=True, text=True).stdout.splitlines()
    debian = [line.split(" ", 1) for line in sorted(set(now) - known)]
    # Where Debian's pip installs as root. Debian's own Python packages are elsewhere.
    folder = sysconfig.get_path("purelib", "posix_local")
    pip = sorted((each.name, each.version) for each in distributions(path=[folder]))
    packages = [{"name": name, "version": version, "from": "apt"} for name, version in debian]
    packages += [{"name": name, "version": version, "from": "pip"} for name, version in pip]
    print(json.dumps(packages))


if __name__ == "__main__":
    main(sys.argv[1])
