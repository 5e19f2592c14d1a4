from typing import Any

from rest_framework.authentication import TokenAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from .. import services
from ..models import ApiToken, User

# Longer than any token; limits the text that a client can make us hash.
LONGEST_SECRET = 200


class ApiTokenAuthentication(TokenAuthentication):
    """`Authorization: Token ...` or `Authorization: Bearer ...`."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        scheme = get_authorization_header(request).partition(b" ")[0].lower()
        self.keyword = "Bearer" if scheme == b"bearer" else "Token"
        return super().authenticate(request)

    def authenticate_credentials(self, key: str) -> tuple[User, ApiToken]:
        token = services.find_token(key[:LONGEST_SECRET])
        if token is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        return token.user, token
