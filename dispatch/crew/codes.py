"""Codes of refusals. It imports nothing: logging is set up before the apps are ready."""

# The codes of errors that have no code of their own.
CODES = {
    400: "invalid",
    401: "signed_out",
    403: "foreign_page",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported",
    422: "id_reused",
    429: "too_many_tries",
    500: "error",
    503: "unavailable",
}
