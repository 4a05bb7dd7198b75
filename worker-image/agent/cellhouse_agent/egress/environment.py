"""The environment variables that send the usual clients through the egress listener."""

from __future__ import annotations

from urllib.parse import urlsplit

# Only code in this worker can reach it: the worker has no interface but its own loopback.
LISTEN_HOST, LISTEN_PORT = "127.0.0.1", 3128
PROXY_URL = f"http://{LISTEN_HOST}:{LISTEN_PORT}"
# These hosts are never proxied: they are servers that code itself has started.
NEVER_OUT = "localhost,127.0.0.1,::1"


def egress_environment(pip_index_url: str) -> dict[str, str]:
    """The variables that kernels and commands get. `pip_index_url` may be empty.

    pip, git, curl, requests and urllib read the first six.
    """
    return {
        "HTTP_PROXY": PROXY_URL,
        "HTTPS_PROXY": PROXY_URL,
        "http_proxy": PROXY_URL,
        "https_proxy": PROXY_URL,
        "NO_PROXY": NEVER_OUT,
        "no_proxy": NEVER_OUT,
        **(_index(pip_index_url) if pip_index_url else {}),
    }


def _index(url: str) -> dict[str, str]:
    """The index. pip refuses one without TLS unless its host is trusted, and the operator has chosen this one."""
    parts = urlsplit(url)
    trusted = (
        {"PIP_TRUSTED_HOST": parts.netloc.rpartition("@")[2]} if parts.scheme == "http" else {}
    )
    return {"PIP_INDEX_URL": url, **trusted}
