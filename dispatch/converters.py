from django.urls.converters import IntConverter


class RowIdConverter(IntConverter):
    """An id with as many digits as a bigint: PostgreSQL has no index for longer numbers."""

    regex = "[0-9]{1,18}"
