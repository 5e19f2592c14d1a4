"""The service worker, which keeps the files of the crews' page on the phone."""

import hashlib
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from ..models import Language
from .pages import Texts, manifest, shell

FOLDER = "dispatch/crew"
# Static files outside of the folder that the page uses.
SHARED = ("dispatch/favicon.svg",)


def contents() -> dict[str, bytes]:
    """Return everything that the page needs without a network: the content by address."""
    return {**documents(), **static_files()}


def documents() -> dict[str, bytes]:
    request = HttpRequest()
    request.method = "GET"
    answers: dict[str, HttpResponseBase] = {reverse("crew:page"): shell(request)}
    for code in Language.values:
        answers[reverse("crew:texts", args=[code])] = Texts.as_view()(request, language=code)
        answers[reverse("crew:manifest", args=[code])] = manifest(request, code)
    return {address: answer.getvalue() for address, answer in answers.items()}


def static_files() -> dict[str, bytes]:
    """Not the icons: only the phone's home screen shows them."""
    paths = [path for path in served(FOLDER).iterdir() if path.suffix in (".js", ".css")]
    names = sorted([*(f"{FOLDER}/{path.name}" for path in paths), *SHARED])
    return {static(name): served(name).read_bytes() for name in names}


def served(name: str) -> Path:
    """Return the static file or folder that phones get: `collectstatic` may have copied it."""
    if settings.WHITENOISE_USE_FINDERS:
        return Path(finders.find(name) or "")
    return Path(settings.STATIC_ROOT, name)


@cache
def digests() -> dict[str, str]:
    """Return the SHA-256 of each of the `contents`, by address. Read once: a deploy restarts."""
    return {address: hashlib.sha256(body).hexdigest() for address, body in contents().items()}


@cache
def version() -> str:
    """Return the digest of all files of the page. It changes with each deploy that changes one."""
    lines = [f"{address} {digest}" for address, digest in sorted(digests().items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """The worker's script; with CREW_PAGE_OFFLINE=false, one that removes itself."""
    template = "crew/sw.js" if settings.CREW_PAGE_OFFLINE else "crew/sw_off.js"
    scope = reverse("crew:worker").removesuffix("sw.js")
    values = {"scope": scope, "version": version(), "digests": digests()}
    response = render(request, template, values, "text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    return response
