"""The addresses that webhooks may be sent to. The address checked is the one connected to."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import SplitResult, urlsplit

from ..gbfs.access import is_public

Networks = Sequence[IPv4Network | IPv6Network]
HTTPS_PORT, HTTP_PORT = 443, 80


class Forbidden(Exception):
    """Nothing may be sent to this URL. The message is one sentence for the operator."""


@dataclass(frozen=True)
class Target:
    """`host`: the name for the certificate and the Host header. `address`: to connect to."""

    host: str
    address: str
    port: int
    is_tls: bool
    path: str


def resolve(url: str, allowed: Networks) -> Target:
    """Return the target with the first address that webhooks may be sent to.

    `allowed`: internal networks, where http and any port may be used, too. OSError: the name has no
    address.
    """
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (HTTPS_PORT if is_tls else HTTP_PORT)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise Forbidden(f"{host} is not a name of a host.") from None
    addresses = [str(entry[4][0]) for entry in found]
    is_plain = not is_tls or port != HTTPS_PORT
    for address in addresses:
        if is_in(address, allowed) or (not is_plain and is_public(address)):
            return Target(host, address, port, is_tls, path_of(parts))
    if any(map(is_public, addresses)):
        raise Forbidden("Only https on port 443 is allowed outside of WEBHOOK_ALLOW_NETWORKS.")
    raise Forbidden(f"{host} is an internal host. WEBHOOK_ALLOW_NETWORKS can allow it.")


def path_of(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def is_in(address: str, networks: Networks) -> bool:
    ip = ipaddress.ip_address(address)
    return any(ip in network for network in networks)
