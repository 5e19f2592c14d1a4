from collections.abc import Iterable
from typing import Any

from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from .parsers import UnsupportedBody


class NameOnly(BaseMetadata):
    """The body of an OPTIONS response; methods are in the `Allow` header, details in /docs."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, str]:
        return {"name": view.get_view_name()}


class AlwaysFirstRenderer(BaseContentNegotiation):
    """Ignore `Accept`, so that a phone with an odd header still gets its task."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise UnsupportedBody("Send the body without Content-Encoding.")
        content_type = request.content_type.partition(";")[0].strip().lower()
        for parser in parsers:
            if parser.media_type == content_type:
                return parser
        raise UnsupportedBody

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
