"""Limits the hosts of a feed to the operator's own sources and those that anyone can reach."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from .documents import BadFeed


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
    """`sources`: web addresses that the operator named. Their hosts may be internal. `headers`,
    such as one with a key, are sent to their origins only."""

    sources: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def headers_for(self, address: str) -> Mapping[str, str]:
        return self.headers if origin_of(address) in map(origin_of, self.sources) else {}

    def pool(self) -> PoolManager:
        """Return a pool that refuses internal hosts other than the named ones, by BadFeed.

        It looks at the peer of the open connection: a name may have another address by then.
        """
        named = {origin_of(source).host for source in self.sources}

        class Http(HTTPConnection):
            def _new_conn(self) -> Any:
                return checked(super()._new_conn(), self.host, named)

        class Https(HTTPSConnection):
            def _new_conn(self) -> Any:
                return checked(super()._new_conn(), self.host, named)

        http = type("HttpPool", (HTTPConnectionPool,), {"ConnectionCls": Http})
        https = type("HttpsPool", (HTTPSConnectionPool,), {"ConnectionCls": Https})
        pool = PoolManager()
        pool.pool_classes_by_scheme = {"http": http, "https": https}
        return pool


def checked(connection: Any, host: str, named: set[str]) -> Any:
    """Return the connection. BadFeed: it leads to an internal host that no source names."""
    if host.strip("[]").rstrip(".").lower() in named or is_public(connection.getpeername()[0]):
        return connection
    connection.close()
    raise BadFeed(f"it leads to the internal host {host[:100]}. Name that address as a source.")


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
