"""Says why pip reaches no index of packages, and what to do.

A worker has no network. If the gateway allows it, code reaches other hosts through the gateway's proxy, which refuses
those that the setting EGRESS_ALLOW does not list.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from pip._internal.commands import create_command

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
    """What to say after a command with these arguments has failed; None if it had another reason than an index."""
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
    """What the proxy says if it refuses the host of this index."""
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
