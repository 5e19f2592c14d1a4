"""Connections that are checked and watched as soon as they are open."""

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url

from .access import Access
from .deadline import Deadline

# Is called with each open connection and the host's name.
Opened = Callable[[socket.socket, str], None]


def pool_for(source: str, access: Access, deadline: Deadline) -> PoolManager:
    """Use the proxy that the environment names, as Python's own client does.

    A proxy has its own rules about internal hosts.
    """
    proxy = proxy_for(source)
    pool = PoolManager() if proxy is None else through(proxy)

    def opened(connection: socket.socket, host: str) -> None:
        deadline.watch(connection)
        if proxy is None:
            access.check(connection, host)

    pool.pool_classes_by_scheme = pool_classes(opened)
    return pool


def proxy_for(source: str) -> str | None:
    address = urlsplit(source)
    proxy = getproxies().get(address.scheme)
    return proxy if proxy and not proxy_bypass(address.netloc) else None


def through(proxy: str) -> ProxyManager:
    auth = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return ProxyManager(proxy if "//" in proxy else f"http://{proxy}", proxy_headers=headers)


def pool_classes(opened: Opened) -> dict[str, Any]:
    def reported(connection: socket.socket, host: str) -> socket.socket:
        try:
            opened(connection, host)
        except BaseException:
            connection.close()
            raise
        return connection

    class Http(HTTPConnection):
        def _new_conn(self) -> Any:
            return reported(super()._new_conn(), self.host)

    class Https(HTTPSConnection):
        def _new_conn(self) -> Any:
            return reported(super()._new_conn(), self.host)

    return {
        "http": type("HttpPool", (HTTPConnectionPool,), {"ConnectionCls": Http}),
        "https": type("HttpsPool", (HTTPSConnectionPool,), {"ConnectionCls": Https}),
    }
