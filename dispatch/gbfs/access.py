"""Limits the hosts of a feed to the operator's own sources and those that anyone can reach."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from socket import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from .documents import BadFeed

Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int | None


def origin_of(address: str) -> Origin:
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    port = parts.port or {"http": 80, "https": 443}.get(scheme)
    return Origin(scheme, (parts.hostname or "").rstrip("."), port)


@dataclass(frozen=True)
class Access:
    """`sources`: web addresses that the operator named. `headers`, such as one with a key, are
    sent to their origins only. `networks`: internal ones that feeds may be in. None: the hosts of
    the sources may be internal, and no others."""

    sources: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    networks: Networks | None = None

    def headers_for(self, address: str) -> Mapping[str, str]:
        return self.headers if origin_of(address) in map(origin_of, self.sources) else {}

    def check(self, connection: socket, host: str) -> None:
        """BadFeed: the open connection leads to an internal host that is not allowed.

        The peer of the connection counts: the host's name may have another address by then.
        """
        address = connection.getpeername()[0]
        if is_public(address) or self.allows(host, address):
            return
        remedy = "Name that address as a source."
        if self.networks is not None:
            remedy = "FEED_ALLOW_NETWORKS can allow it."
        raise BadFeed(f"it leads to the internal host {host[:100]}. {remedy}")

    def allows(self, host: str, address: str) -> bool:
        if self.networks is None:
            return self.names(host)
        return any(ipaddress.ip_address(address) in network for network in self.networks)

    def names(self, host: str) -> bool:
        named = {origin_of(source).host for source in self.sources}
        return host.strip("[]").rstrip(".").lower() in named


# The NAT64 prefix for local use (RFC 8215).
LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
# Special networks that Python 3.11 takes for global ones.
SPECIAL = [
    ipaddress.ip_network(net)
    for net in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "5f00::/16", "fec0::/10")
]
# NAT64 (RFC 6052) and IPv4-compatible addresses, which hold an IPv4 address in their last 32 bits.
TRANSLATED = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "::/96")]


def is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in LOCAL_NAT64:
            return False
        ip = ip.ipv4_mapped or ip.sixtofour or embedded_ipv4(ip)
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in SPECIAL)


def embedded_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if any(ip in network for network in TRANSLATED):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
