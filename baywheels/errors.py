"""Error responses outside of API views: HTML in the console, JSON everywhere else.

Crews' phones find a `code` in it, as in all refusals of theirs.
"""

import sys
from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from dispatch.crew.codes import CODES

from .database.unavailable import means_damage


def error_response(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    if request.path_info.startswith("/admin/"):
        title = HTTPStatus(status).phrase
        return render(request, "error.html", {"title": title, "detail": detail}, status=status)
    data = {"detail": detail}
    if request.path_info.startswith("/crew/api/"):
        data["code"] = CODES[status]
    return JsonResponse(data, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_response(request, 413, "The request body is too large.")
    return error_response(request, 400, "The request is malformed.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 403, "You do not have permission to do this.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 404, "Page not found.")


def database_failure(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Return a 503, or None if the error is not a failure of the database."""
    if isinstance(error, (OperationalError, InterfaceError)):
        detail, wait = "The database is busy or unavailable; try again.", 2
    elif means_damage(error):
        detail, wait = "The database is damaged or not fully restored; try again later.", 30
    else:
        return None
    response = error_response(request, 503, detail)
    response.headers["Retry-After"] = str(wait)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Errors outside views, such as saving the session, can be database errors too."""
    detail = "Something went wrong; the error has been logged."
    return database_failure(request, sys.exc_info()[1]) or error_response(request, 500, detail)


def csrf_failure(request: HttpRequest, reason: str) -> HttpResponse:
    return error_response(request, 403, "The form has expired. Reload the page and try again.")
