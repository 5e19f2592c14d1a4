"""The files of the crews' page: how large they are, and what browsers need to install it."""

import gzip
import struct

from dispatch.crew.worker import contents

LIMIT = 60_000


def test_first_visit_loads_at_most_60_kilobytes(client):
    files = {**contents(), "sw.js": client.get("/crew/sw.js").content}

    sizes = {address: len(gzip.compress(body)) for address, body in files.items()}

    assert sum(sizes.values()) < LIMIT, sizes


def test_page_can_be_installed(client):
    shell = client.get("/crew/").content.decode()
    address = shell.partition('rel="manifest" href="')[2].partition('"')[0]
    response = client.get(address)
    manifest = response.json()

    assert response.headers["Content-Type"] == "application/manifest+json"
    assert manifest["name"]
    assert manifest["short_name"]
    assert {manifest[name] for name in ("id", "start_url", "scope")} == {"/crew/"}
    assert manifest["display"] == "standalone"
    icons = [(icon["purpose"], icon["sizes"]) for icon in manifest["icons"]]
    assert icons == [("any", "192x192"), ("any", "512x512"), ("maskable", "512x512")]
    for icon in manifest["icons"]:
        image = b"".join(client.get(icon["src"]))
        width, height = struct.unpack(">II", image[16:24])
        assert f"{width}x{height}" == icon["sizes"]


def test_worker_is_checked_by_browsers_at_each_visit(client):
    response = client.get("/crew/sw.js")

    assert response.headers["Content-Type"] == "text/javascript"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.status_code == 200
