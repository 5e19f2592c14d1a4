from django.urls.converters import IntConverter


class RowIdConverter(IntConverter):
    """At most as many digits as a bigint: PostgreSQL cannot use the index for a longer number."""

    regex = "[0-9]{1,18}"
