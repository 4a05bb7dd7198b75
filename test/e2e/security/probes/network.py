"""Leaving by the network: every family, every protocol, the gateway, the engine, the host and its neighbours."""

from __future__ import annotations

import os
import socket
import struct
from errno import (
    EADDRNOTAVAIL,
    ECONNREFUSED,
    EHOSTUNREACH,
    EINVAL,
    ENETDOWN,
    ENETUNREACH,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
    ETIMEDOUT,
)
from fcntl import ioctl

from harness import (
    ABSENT,
    DENIED,
    PARAMETERS,
    PERM,
    demand,
    every,
    probe,
    refused,
)

# An address that can be reached answers sooner.
CONNECT_SECONDS = 1
UNREACHABLE = (ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, ENETDOWN, EPERM)
# Allowed families: Unix, IPv4, IPv6, and route netlink, which lists interfaces.
ALLOWED_FAMILIES = {1, 2, 10, 16}
LAST_FAMILY = 46
AF_VSOCK = 40
NETLINK_PROTOCOLS = {
    "unused": 1,
    "sock_diag": 4,
    "nflog": 5,
    "xfrm": 6,
    "selinux": 7,
    "iscsi": 8,
    "audit": 9,
    "connector": 11,
    "netfilter": 12,
    "uevent": 15,
    "generic": 16,
    "crypto": 21,
}
INTERNET_PROTOCOLS = {
    "icmp": 1,
    "dccp": 33,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
    "mptcp": 262,
}
SIOCSIFADDR = 0x8916
SIOCSIFFLAGS = 0x8914


def _connect(family: int, kind: int, address: object) -> None:
    with socket.socket(family, kind) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.connect(address)  # type: ignore[arg-type]
            client.send(b"x")
            # With UDP a refusal is visible only when an answer comes.
            client.recv(1)
        except TimeoutError as error:
            raise OSError(ETIMEDOUT, "no answer") from error


@probe("sees an interface other than lo")
def interfaces() -> str:
    with open("/proc/net/dev", encoding="utf-8") as table:
        names = [line.partition(":")[0].strip() for line in table if ":" in line]
    with open("/proc/net/route", encoding="utf-8") as table:
        routes = table.read().splitlines()[1:]
    return every(
        demand(set(names) == {"lo"}, f"interfaces {names}"),
        demand(all(route.startswith("lo") for route in routes), f"routes {routes}"),
    )


@probe("reaches the gateway over HTTP")
def gateway() -> str:
    port = PARAMETERS["gateway_port"]
    return every(
        refused(
            "127.0.0.1",
            (ECONNREFUSED,),
            _connect,
            socket.AF_INET,
            socket.SOCK_STREAM,
            ("127.0.0.1", port),
        ),
        refused(
            "::1",
            (ECONNREFUSED, *UNREACHABLE),
            _connect,
            socket.AF_INET6,
            socket.SOCK_STREAM,
            ("::1", port),
        ),
        *(
            refused(
                address, UNREACHABLE, _connect, socket.AF_INET, socket.SOCK_STREAM, (address, port)
            )
            for address in PARAMETERS["host_addresses"]
        ),
    )


@probe("reaches any IPv4 address")
def ipv4() -> str:
    addresses = [
        *PARAMETERS["host_addresses"],
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "8.8.8.8",
        "255.255.255.255",
    ]
    return every(
        *(
            refused(
                f"{address} {kind.name}",
                (*UNREACHABLE, 13),
                _connect,
                socket.AF_INET,
                kind,
                (address, 53),
            )
            for address in addresses
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        )
    )


@probe("reaches any IPv6 address")
def ipv6() -> str:
    addresses = (
        "2001:4860:4860::8888",
        "fe80::1%1",
        "fd00:ec2::254",
        "ff02::1%1",
        "::ffff:8.8.8.8",
    )
    # gVisor sends link-local packets to lo, where nobody answers.
    numbers = (*UNREACHABLE, EINVAL, ECONNREFUSED, ETIMEDOUT)
    return every(
        *(
            refused(f"{address} {kind.name}", numbers, _connect, socket.AF_INET6, kind, target)
            for address in addresses
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
            for *_, target in socket.getaddrinfo(address, 53, socket.AF_INET6, kind)
        )
    )


@probe("resolves a name")
def names() -> str:
    def resolve() -> object:
        try:
            return socket.getaddrinfo("example.com", 443)
        except socket.gaierror as error:
            raise OSError(ENETUNREACH, str(error)) from error

    return refused("example.com", (ENETUNREACH,), resolve)


@probe("sends packets of its own making")
def raw_sockets() -> str:
    kinds = {
        "raw IPv4": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        "raw TCP": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP),
        "raw IPv6": (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
        "ping": (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
        "ping 6": (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6),
        "packet": (17, socket.SOCK_RAW, 0x0300),
        "cooked packet": (17, socket.SOCK_DGRAM, 0x0300),
    }
    return every(*(refused(name, PERM, socket.socket, *kind) for name, kind in kinds.items()))


@probe("opens a socket of any other family")
def other_families() -> str:
    families = [number for number in range(LAST_FAMILY + 1) if number not in ALLOWED_FAMILIES]
    return every(
        *(
            refused(f"{family}/{kind}", PERM, socket.socket, family, kind, 0)
            for family in families
            for kind in (
                socket.SOCK_STREAM,
                socket.SOCK_DGRAM,
                socket.SOCK_RAW,
                socket.SOCK_SEQPACKET,
            )
        )
    )


@probe("reaches the machine that runs this one (vsock)")
def vsock() -> str:
    def connect() -> None:
        with socket.socket(AF_VSOCK, socket.SOCK_STREAM) as client:
            client.settimeout(CONNECT_SECONDS)
            client.connect((2, 1024))

    return refused("host", PERM, connect)


@probe("speaks another protocol of the internet")
def other_protocols() -> str:
    return every(
        *(
            refused(f"{name} {kind.name}", PERM, socket.socket, family, kind, number)
            for name, number in INTERNET_PROTOCOLS.items()
            for family in (socket.AF_INET, socket.AF_INET6)
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
        )
    )


@probe("makes a pair of sockets of another family")
def other_pairs() -> str:
    # TIPC and others make pairs.
    return every(
        *(
            refused(str(family), (*PERM, EOPNOTSUPP), socket.socketpair, family, socket.SOCK_STREAM)
            for family in (2, 10, 16, 30, 40)
        )
    )


@probe("hears or speaks to the kernel over netlink, beyond listing interfaces")
def netlink() -> str:
    return every(
        *(
            refused(name, PERM, socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, number)
            for name, number in NETLINK_PROTOCOLS.items()
        )
    )


def _ask_route(kind: int, body: bytes) -> None:
    """Send a route netlink request; raise the error in its answer."""
    flags = 0x1 | 0x4 | 0x400  # REQUEST, ACK, CREATE
    message = struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
        route.settimeout(CONNECT_SECONDS)
        route.send(message)
        answer = route.recv(4096)
    number = -struct.unpack_from("=i", answer, 16)[0]
    if number:
        raise OSError(number, os.strerror(number))


@probe("changes interfaces, addresses or routes")
def change_network() -> str:
    numbers = (*DENIED, EOPNOTSUPP)

    def request(code: int, body: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            ioctl(any_socket, code, struct.pack("16s", b"lo") + body)

    return every(
        refused("new link", numbers, _ask_route, 16, struct.pack("=BxHiII", 0, 0, 0, 0, 0)),
        refused("link down", numbers, _ask_route, 16, struct.pack("=BxHiII", 0, 0, 1, 0, 1)),
        refused("new address", numbers, _ask_route, 20, struct.pack("=BBBBI", 2, 8, 0, 0, 1)),
        refused(
            "new route",
            numbers,
            _ask_route,
            24,
            struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0),
        ),
        refused(
            "flags by ioctl", (*numbers, ENOTTY), request, SIOCSIFFLAGS, struct.pack("H22x", 0)
        ),
        refused(
            "address by ioctl",
            (*numbers, ENOTTY),
            request,
            SIOCSIFADDR,
            struct.pack("HH4s16x", 2, 0, bytes(4)),
        ),
    )


@probe("finds the engine's, the database's or the gateway's socket")
def host_sockets() -> str:
    paths = (
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/systemd/private",
        "/run/dbus/system_bus_socket",
        "/run/postgresql/.s.PGSQL.5432",
        "/tmp/.s.PGSQL.5432",
        *PARAMETERS["host_paths"],
    )
    return every(
        *(
            refused(path, (*ABSENT, *DENIED), _connect, socket.AF_UNIX, socket.SOCK_STREAM, path)
            for path in paths
        )
    )


@probe("reaches a socket of the host that has no file")
def abstract_sockets() -> str:
    name = "\0" + PARAMETERS["abstract_socket"]
    return refused(
        name[1:], (ECONNREFUSED, *PERM), _connect, socket.AF_UNIX, socket.SOCK_STREAM, name
    )


@probe("reaches a server of the host that listens everywhere")
def host_server() -> str:
    """The test has a server that listens on every address of the host."""
    port = PARAMETERS["open_port"]
    addresses = ("127.0.0.1", *PARAMETERS["host_addresses"])
    numbers = (ECONNREFUSED, ETIMEDOUT, *UNREACHABLE)
    return every(
        *(
            refused(address, numbers, _connect, socket.AF_INET, socket.SOCK_STREAM, (address, port))
            for address in addresses
        )
    )
