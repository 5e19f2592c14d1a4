"""Proxies and upstream servers for tests."""

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy import private


def need(program):
    """Skip the test if the program is not installed; in CI, fail it."""
    if reason := private.missing(program):
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse(f"{reason} Its tests did not run.")


@contextmanager
def upstream(body=b"{}", answers=True):
    """Run a server that keeps its requests. Without `answers` it reads each and hangs up."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def receive(self):
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.received.append((self.command, self.path, dict(self.headers), sent))
            if not answers:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            server.finished.release()

        do_GET = do_POST = receive

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.received = []
    server.finished = threading.Semaphore(0)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield server
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
