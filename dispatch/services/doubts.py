"""Counts moves that are accepted but will hardly be of use."""

from django.db import connection

# `staged` is the table of an ingest's rows.
COUNT_DOUBTS = """
    SELECT (SELECT count(*) FROM staged WHERE expires_at <= clock_timestamp()),
           (SELECT count(*) FROM (
                SELECT from_station_id FROM staged UNION SELECT to_station_id FROM staged
            ) AS named (id)
            WHERE EXISTS (SELECT FROM stations)
              AND NOT EXISTS (SELECT FROM stations WHERE stations.id = named.id))
"""


def count_doubts() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(COUNT_DOUBTS)
        expired, unknown_stations = cursor.fetchone()
    return {"expired": expired, "unknown_stations": unknown_stations}


def describe_doubts(expired: int, unknown_stations: int) -> str:
    """Return a sentence for each count that is not zero."""
    sentences = []
    if expired:
        sentences.append(f"Already expired: {expired:,}.")
    if unknown_stations:
        sentences.append(f"Stations that no feed has listed: {unknown_stations:,}.")
    return " ".join(sentences)
