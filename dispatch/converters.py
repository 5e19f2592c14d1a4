from django.urls.converters import IntConverter


class RowIdConverter(IntConverter):
    """No more digits than a column holds: PostgreSQL would compare a longer id with each row."""

    regex = "[0-9]{1,18}"
