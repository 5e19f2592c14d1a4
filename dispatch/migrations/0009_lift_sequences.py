"""Sequences that never give an id twice, whatever ids writers, restores or replication brought.

Plain SQL instead of django-pgtrigger: the functions act with their owner's rights, so that no role
needs rights on the sequences.
"""

from django.db import migrations

# Beyond it, JavaScript cannot represent ids, and no sequence will ever get there.
LIMIT = 2**53
# Where each table's ids are kept, also after the row is gone.
KEPT_IN = {
    "suggestions": [
        ("suggestions", "id"),
        ("tasks", "suggestion_id"),
        ("task_events", "suggestion_id"),
    ],
    "tasks": [("tasks", "id"), ("task_events", "task_id")],
    "task_events": [("task_events", "id")],
}
# BEFORE: the statement's own ids are drawn after it. AFTER: ids given by hand are noticed at once.
# Every claim inserts an event, and no one gives ids to events, so they do without the second.
TIMES = {
    "suggestions": ["before", "after"],
    "tasks": ["before", "after"],
    "task_events": ["before"],
}


def drawn(table):
    return f"coalesce(pg_sequence_last_value('{table}_id_seq'), 0)"


def highest(table):
    """The highest id beyond `drawn`, or NULL. Each part reads one end of an index."""
    parts = (
        f"(SELECT max({column}) FROM {kept_in}"  # noqa: S608
        f" WHERE {column} > drawn AND {column} < {LIMIT})"
        for kept_in, column in KEPT_IN[table]
    )
    return f"greatest({', '.join(parts)})"


LIFT = """
    CREATE FUNCTION lift_sequence(sequence regclass, highest bigint) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE
        gap bigint;
    BEGIN
        -- One at a time: a slower one must not set a lower value.
        PERFORM pg_advisory_xact_lock(hashtextextended('lift ' || sequence, 0));
        gap := highest - coalesce(pg_sequence_last_value(sequence), 0);
        IF gap > 1000 THEN
            PERFORM setval(sequence, highest);
        ELSE
            -- Unlike setval, it cannot take back what others draw at the same time.
            PERFORM nextval(sequence) FROM generate_series(1, gap);
        END IF;
    END $$;
"""
TRIGGER_FUNCTION = """
    CREATE FUNCTION lift_{table}() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DECLARE
        drawn bigint := {drawn};
        highest bigint := {highest};
    BEGIN
        IF highest IS NOT NULL THEN
            PERFORM lift_sequence('{table}_id_seq', highest);
        END IF;
        RETURN NULL;
    END $$;
"""
TRIGGER = """
    CREATE TRIGGER lift_{table}_{time} {time} INSERT ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION lift_{table}();
"""
# Its body is parsed now, so that PostgreSQL refuses to drop the tables without CASCADE: a job that
# replaces a table would also remove its rules.
BEHIND = """
    CREATE FUNCTION sequences_behind()
    RETURNS TABLE (sequence text, last_drawn bigint, highest bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
    BEGIN ATOMIC
        {selects};
    END;
"""
BEHIND_OF_TABLE = """
        SELECT '{table}_id_seq', drawn, highest
        FROM (SELECT {drawn}) AS s (drawn), LATERAL (SELECT {highest}) AS h (highest)
        WHERE highest IS NOT NULL
"""


def of_table(template, table, **more):
    return template.format(table=table, drawn=drawn(table), highest=highest(table), **more)


def statements():
    yield LIFT
    for table, times in TIMES.items():
        yield of_table(TRIGGER_FUNCTION, table)
        for time in times:
            yield TRIGGER.format(table=table, time=time)
    selects = " UNION ALL ".join(of_table(BEHIND_OF_TABLE, table) for table in TIMES)
    yield BEHIND.format(selects=selects)


def undo():
    yield "DROP FUNCTION sequences_behind()"
    for table in TIMES:
        yield f"DROP FUNCTION lift_{table}() CASCADE"
    yield "DROP FUNCTION lift_sequence(regclass, bigint)"


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0008_plain_help_texts")]

    operations = [migrations.RunSQL([*statements()], [*undo()])]
