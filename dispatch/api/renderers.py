from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.renderers import BaseRenderer


class MsgspecRenderer(BaseRenderer):
    """JSON, encoded several times faster than DRF's own renderer does it."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        # msgspec does not encode subclasses of str, such as lazy translations.
        return msgspec.json.encode(data, enc_hook=str)
