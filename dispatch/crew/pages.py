"""The documents of the crews' page: its shell, its texts and its manifests."""

from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JSONCatalog

from ..models import Language

LOCALE = Path(__file__).parent.parent / "locale"
# Of the icons and the system bars around the page.
ICON_COLOUR = "#0072b2"
BACKGROUND = "#f4f6f7"


def shell(request: HttpRequest) -> HttpResponse:
    """The page's frame: the same bytes for everyone, signed in or not."""
    return HttpResponse(shell_text(), headers={"Cache-Control": "no-cache"})


def shell_text() -> str:
    languages = {
        code: {
            "name": name,
            "texts": reverse("crew:texts", args=[code]),
            "manifest": reverse("crew:manifest", args=[code]),
        }
        for code, name in Language.choices
    }
    return render_to_string("crew/page.html", {"languages": languages})


class Texts(JSONCatalog):
    """The texts of one language by their English originals. A plural has a list of forms."""

    def get(self, request: HttpRequest, language: str) -> JsonResponse:
        self.translation = translation(language)
        return JsonResponse(self.get_catalog(), headers={"Cache-Control": "no-cache"})


def manifest(request: HttpRequest, language: str) -> JsonResponse:
    """Describe the page as an app that a phone can install."""
    home = reverse("crew:page")
    gettext = translation(language).gettext
    content = {
        "id": home,
        "start_url": home,
        "scope": home,
        "lang": language,
        "name": gettext("Bay Wheels crew"),
        "short_name": gettext("Crew"),
        "display": "standalone",
        "background_color": BACKGROUND,
        "theme_color": ICON_COLOUR,
        "icons": [
            icon("192", "any"),
            icon("512", "any"),
            icon("512", "maskable", "maskable-512"),
        ],
    }
    return JsonResponse(
        content,
        content_type="application/manifest+json",
        headers={"Cache-Control": "no-cache"},
    )


def icon(pixels: str, purpose: str, name: str = "") -> dict[str, str]:
    return {
        "src": static(f"dispatch/crew/icon-{name or pixels}.png"),
        "sizes": f"{pixels}x{pixels}",
        "type": "image/png",
        "purpose": purpose,
    }


def translation(language: str) -> DjangoTranslation:
    """The scripts' texts in a language, whatever the language of the console."""
    if language not in Language.values:
        raise Http404
    return DjangoTranslation(language, domain="djangojs", localedirs=[str(LOCALE)])
