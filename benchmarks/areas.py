"""Claims by crews of the roster, compared with a claim by a crew that may take every task.

    python benchmarks/areas.py

The service's own statements on one connection each, in turns, without the wait for the disk:

    everything    20,000 ready tasks, and a crew that is not on the roster
    of a million  the same crew, 1,020,000 ready tasks
    one area      a crew of one of 50 areas; 1,000,000 older ready tasks lie in the others
    named area    the same tasks; a crew that works everywhere names that area
    system        the same tasks; the older ones belong to another system than the crew
    areas         a crew of two areas; 10,000 older ready tasks lie elsewhere
    capacity      a crew with a small van; 10,000 older ready tasks are larger

Needs 5 GB of disk for some minutes.
"""

import json
import statistics
from functools import partial

import psycopg
from growth import milliseconds
from scratch import copied, manage, scratch_cluster

Statement = tuple[str, list[str | None]]

OWN, FEW, MANY = 20_000, 10_000, 1_000_000
AREAS = 50
CLAIMS, ROUNDS = 300, 7
# As the service connects, but without the wait for the disk.
OPTIONS = "-c synchronous_commit=off -c plan_cache_mode=force_generic_plan"

STATEMENTS = """
import json
from django.db import transaction
from dispatch.models import EventKind
from dispatch.services.claim_scopes import Scope
from dispatch.services.claims import assigning, claim_statement
CREWS = {"EVERYTHING": "van-0", "ONE_AREA": "van-1", "NAMED_AREA": "van-0", "AREAS": "van-2",
         "CAPACITY": "van-3", "SYSTEM": "van-4"}
statements = {}
with transaction.atomic():
    for name, crew in CREWS.items():
        of_crew = claim_statement(Scope[name]), Scope[name].parameters(crew, "area 1")
        statements[name] = assigning(of_crew, EventKind.CLAIMED, crew, "api")
print(json.dumps(statements, default=str))
"""
CREWS = """
    INSERT INTO crews (worker_id, areas, capacity, system) VALUES
        ('van-1', '{area 1}', NULL, ''), ('van-2', '{area 1,area 2}', NULL, ''),
        ('van-3', '{}', 9, ''), ('van-4', '{}', NULL, 'ours')
"""
# The crews' own tasks, of 5 bikes in area 1, are younger than those in front of them.
FILL = """
    INSERT INTO tasks (from_station_id, to_station_id, qty, area, system, created_at)
    SELECT 1 + n % 500, 501 + n % 499, {qty}, 'area ' || {area}, '{system}',
           now() - {age} - n * interval '1 s'
    FROM generate_series(1, {rows}) AS n
"""
# The plain claims of a table of the same size, which the others are compared with.
PLAIN = dict.fromkeys(("ONE_AREA", "NAMED_AREA", "SYSTEM"), "OF_A_MILLION")
IN_FRONT = "interval '30 days'"


def fill(url: str, foreign: int = 0, qty: int = 5) -> None:
    """`foreign`: ready tasks of `qty` bikes in areas 3 to 50, in front of the crews' own."""
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("ALTER TABLE tasks DISABLE TRIGGER USER")
        database.execute(CREWS)
        own = FILL.format(qty=5, area=1, system="ours", age="interval '0'", rows=OWN)
        area = f"3 + n % {AREAS - 2}"
        others = FILL.format(qty=qty, area=area, system="theirs", age=IN_FRONT, rows=foreign)
        database.execute(own)
        database.execute(others)
        database.execute("ALTER TABLE tasks ENABLE TRIGGER USER")
        database.execute("VACUUM ANALYZE tasks")


def claims(database: psycopg.Connection, statement: Statement) -> float:
    """Their median, in milliseconds."""

    def claim() -> None:
        if database.execute(*statement, prepare=True).fetchone() is None:
            raise SystemExit("A claim found no task.")

    return statistics.median(milliseconds(claim) for _ in range(CLAIMS))


def measure(databases: dict[str, psycopg.Connection], statements: dict[str, Statement]) -> None:
    medians: dict[str, list[float]] = {name: [] for name in databases}
    for turn in range(ROUNDS + 1):
        for name, database in databases.items():
            median = claims(database, statements[name])
            # The first round warms up.
            if turn:
                print("claims", turn, json.dumps({"scope": name, "ms": round(median, 3)}))
                medians[name].append(median)
    print(f"\n{'scope':16} {'ms':>8}   compared")
    for name, each in medians.items():
        ratios = zip(each, medians[PLAIN.get(name, "EVERYTHING")], strict=True)
        ratio = statistics.median(mine / plain for mine, plain in ratios)
        print(f"{name:16} {statistics.median(each):8.3f}   {ratio:.2f} x")


def main() -> None:
    with scratch_cluster() as database:
        plain = database("ours")
        elsewhere, ahead, larger = (copied(plain, name) for name in ("many", "few", "large"))
        fill(plain)
        fill(elsewhere, MANY)
        fill(ahead, FEW)
        fill(larger, FEW, qty=20)
        places = {
            "EVERYTHING": plain,
            "OF_A_MILLION": elsewhere,
            # A copy each: claims read past the dead rows that earlier claims left.
            **{
                name: copied(elsewhere, name.lower())
                for name in ("ONE_AREA", "NAMED_AREA", "SYSTEM")
            },
            "AREAS": ahead,
            "CAPACITY": larger,
        }
        statements = json.loads(
            manage(plain, "shell", "--no-imports", "--command", STATEMENTS).splitlines()[-1]
        )
        statements["OF_A_MILLION"] = statements["EVERYTHING"]
        connect = partial(psycopg.connect, autocommit=True, options=OPTIONS)
        measure({name: connect(url) for name, url in places.items()}, statements)


if __name__ == "__main__":
    main()
