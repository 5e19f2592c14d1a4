"""Error responses outside of API views: HTML in the console, JSON everywhere else."""

import sys
from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render


def error_response(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    if request.path_info.startswith("/admin/"):
        title = HTTPStatus(status).phrase
        return render(request, "error.html", {"title": title, "detail": detail}, status=status)
    return JsonResponse({"detail": detail}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_response(request, 413, "The request body is too large.")
    return error_response(request, 400, "The request is malformed.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 403, "You do not have permission to do this.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 404, "Page not found.")


def database_unavailable(request: HttpRequest) -> HttpResponse:
    response = error_response(request, 503, "The database is busy or unavailable; try again.")
    response.headers["Retry-After"] = "2"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Errors outside views, such as saving the session, can be database errors too."""
    if isinstance(sys.exc_info()[1], (OperationalError, InterfaceError)):
        return database_unavailable(request)
    return error_response(request, 500, "Something went wrong; the error has been logged.")


def csrf_failure(request: HttpRequest, reason: str) -> HttpResponse:
    return error_response(request, 403, "The form has expired. Reload the page and try again.")
