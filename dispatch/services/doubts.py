"""Checks moves before they are entered: expired ones and those of unknown stations are counted,
and those from one system to another are refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection

from ..exceptions import Refusal, UnknownStations
from ..models import Move
from ..texts import isolated

MOST_LISTED = 10
ONE_MOVE = """
    SELECT %s::integer AS from_station_id, %s::integer AS to_station_id,
           %s::timestamptz AS expires_at
"""
# Without any station, no number is known to be wrong. A station that left its feed is known.
DOUBTS = """
    WITH moves AS ({moves}),
    named (id) AS (SELECT from_station_id FROM moves UNION SELECT to_station_id FROM moves),
    unknown AS (
        SELECT id FROM named
        WHERE EXISTS (SELECT FROM stations)
          AND NOT EXISTS (SELECT FROM stations WHERE stations.id = named.id)
    )
    SELECT (SELECT count(*) FROM moves WHERE expires_at <= clock_timestamp()),
           (SELECT count(*) FROM unknown),
           ARRAY(SELECT id FROM unknown ORDER BY id LIMIT {most}),
           (
               SELECT ARRAY[source.id::text, source.system, target.id::text, target.system]
               FROM moves
               JOIN stations AS source ON source.id = from_station_id
               JOIN stations AS target ON target.id = to_station_id
               WHERE source.system <> target.system
               ORDER BY source.id, target.id LIMIT 1
           )
"""


@dataclass(frozen=True, kw_only=True)
class Doubts:
    """Counts of moves of little use. They are entered, unless UNKNOWN_STATIONS is "refuse".

    `expired`: moves whose expiry has passed. `unknown_stations`: stations that moves name and no
    feed has listed; 0 if there are no stations at all. `unknown_station_ids`: the first of them.
    """

    expired: int = 0
    unknown_stations: int = 0
    unknown_station_ids: list[int] = field(default_factory=list)

    @property
    def warning(self) -> str:
        """A sentence for each count that is not zero."""
        sentences = []
        if self.expired:
            sentences.append(f"Already expired: {self.expired:,}.")
        if self.unknown_stations:
            sentences.append(self.about_stations())
        return " ".join(sentences)

    def about_stations(self) -> str:
        shown = ", ".join(map(str, self.unknown_station_ids))
        more = ", ..." if self.unknown_stations > len(self.unknown_station_ids) else ""
        return f"Stations that no feed has listed: {self.unknown_stations:,} ({shown}{more})."

    def refuse_unknown_stations(self) -> None:
        """Raise UnknownStations if there are any and UNKNOWN_STATIONS is "refuse"."""
        if self.unknown_stations and settings.UNKNOWN_STATIONS == "refuse":
            raise UnknownStations(f"Nothing was entered. {self.about_stations()}")


def doubts_statement(moves: str) -> str:
    """`moves`: a query of from_station_id, to_station_id and expires_at."""
    return DOUBTS.format(moves=moves, most=MOST_LISTED)


def doubts_from(rows: Sequence[Sequence[Any]]) -> Doubts:
    """Return the doubts from the only row of a `doubts_statement`.

    Refusal: a move leads from one system to another.
    """
    [(expired, unknown_stations, ids, crossing)] = rows
    if crossing:
        source, system, target, other = map(isolated, crossing)
        raise Refusal(
            f"Nothing was entered. Station {source} belongs to {system}, and station {target} to"
            f" {other}. A move stays within one system."
        )
    return Doubts(expired=expired, unknown_stations=unknown_stations, unknown_station_ids=ids)


def find_doubts(moves: str, parameters: Sequence[Any] = ()) -> Doubts:
    with connection.cursor() as cursor:
        cursor.execute(doubts_statement(moves), parameters)
        return doubts_from(cursor.fetchall())


def doubts_about(move: Move) -> Doubts:
    ends = [move.from_station_id, move.to_station_id]
    return find_doubts(ONE_MOVE, [*ends, getattr(move, "expires_at", None)])
