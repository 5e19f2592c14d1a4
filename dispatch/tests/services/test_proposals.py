"""POST /suggestions: one or many, with an outcome for each."""

import pytest
from django.db import transaction

from dispatch import services
from dispatch.models import Suggestion, TaskEvent
from dispatch.services import SuggestionRow

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.factories import MORNING, StationFactory, SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db

MOVE = {"from_station_id": 100, "to_station_id": 200, "qty": 5, "reason": "Full"}


@pytest.fixture
def propose(client):
    def post(body):
        answer = client.post("/suggestions", body, content_type="application/json")
        return answer.status_code, answer.json()

    return post


def test_one_proposal_returns_its_id(propose):
    status, answer = propose(
        {**MOVE, "priority": 20, "source": "ml-v2", "expires_at": "2015-05-04T10:00:00+02:00"}
    )

    suggestion = Suggestion.objects.get()
    assert (status, answer) == (200, {"id": suggestion.id, "outcome": "created"})
    assert (suggestion.qty, suggestion.priority, suggestion.source) == (5, 20, "ml-v2")
    assert suggestion.expires_at == MORNING
    event = TaskEvent.objects.get()
    assert (event.kind, event.actor, event.source) == ("ingested", "api", "ml-v2")
    assert event.details == {
        "rows": 1,
        "created": 1,
        "refreshed": 0,
        "under_way": 0,
        "expired": 1,
        "unknown_stations": 0,
        "unknown_station_ids": [],
    }


def test_each_of_many_proposals_gets_an_outcome(propose):
    known = SuggestionFactory(source="ml-v2", qty=1)
    SuggestionFactory(source="other", from_station_id=1, to_station_id=2)
    TaskFactory(from_station_id=3, to_station_id=4)

    status, answer = propose(
        [
            {**MOVE, "source": "ml-v2", "qty": 9},
            {**MOVE, "source": "ml-v2", "from_station_id": 1, "to_station_id": 2},
            {**MOVE, "source": "ml-v2", "from_station_id": 3, "to_station_id": 4},
            {**MOVE, "source": "ml-v2", "from_station_id": 1, "to_station_id": 2, "qty": 7},
        ]
    )

    new = Suggestion.objects.get(source="ml-v2", from_station_id=1)
    assert (status, answer) == (
        200,
        [
            {"id": known.id, "outcome": "refreshed"},
            {"id": new.id, "outcome": "created"},
            {"id": None, "outcome": "under_way"},
            {"id": new.id, "outcome": "refreshed"},
        ],
    )
    known.refresh_from_db()
    assert (known.qty, new.qty) == (9, 7)
    assert Suggestion.objects.count() == 3


def test_of_duplicate_suggestions_the_older_is_refreshed(propose):
    older, newer = SuggestionFactory.create_batch(2, source="ml-v2")

    assert propose({**MOVE, "source": "ml-v2", "qty": 9})[1]["id"] == older.id
    newer.refresh_from_db()
    assert newer.qty == 5


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "from_station_id"),
        ([], "empty"),
        ([MOVE] * 1001, "1000"),
        ([MOVE, {**MOVE, "qty": 0}], "qty"),
        ([MOVE, 5], "dictionary"),
        ([[MOVE]], "dictionary"),
        ('"move"', "dictionary"),
        ({**MOVE, "to_station_id": 100}, "differ"),
        ({**MOVE, "from_station_id": -1}, "from_station_id"),
        ({**MOVE, "from_station_id": 2**31}, "from_station_id"),
        ({**MOVE, "qty": "2.7"}, "qty"),
        ({**MOVE, "reason": "  "}, "reason"),
        ({**MOVE, "reason": "x" * 2001}, "reason"),
        ({**MOVE, "reason": None}, "reason"),
        ({**MOVE, "priority": 101}, "priority"),
        ({**MOVE, "expires_at": "tomorrow"}, "expires_at"),
        ({**MOVE, "expires_at": "9500-01-01T00:00:00Z"}, "expires_at"),
        ({**MOVE, "source": "a\nb"}, "source"),
        ({**MOVE, "source": "x" * 101}, "source"),
        ([{**MOVE, "source": "a"}, {**MOVE, "source": "b"}], "the same source"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_proposal_is_400_and_inserts_nothing(propose, body, detail):
    status, answer = propose(body)

    assert status == 400
    assert detail in answer["detail"]
    assert not Suggestion.objects.exists()
    assert not TaskEvent.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"qty": 5.0},
        {"qty": "5"},
        {"qty": "5.0", "from_station_id": "100", "to_station_id": 200.0},
        {"priority": None, "expires_at": None, "source": None},
        {"priority": "", "expires_at": "", "source": ""},
        {"priority": "-3.0", "expires_at": "2035-05-04 08:00:00.000000000+0000"},
    ],
)
def test_values_are_read_in_every_form_that_tools_write(propose, fields):
    status, answer = propose({**MOVE, **fields})

    assert (status, answer["outcome"]) == (200, "created")
    suggestion = Suggestion.objects.get()
    assert (suggestion.from_station_id, suggestion.to_station_id, suggestion.qty) == (100, 200, 5)
    assert suggestion.source == ""


@pytest.mark.parametrize("qty", [2.7, "2.7", "1.000", "\u0661", True, 1e16, "", " 5", "5,0", [5]])
def test_values_that_are_not_whole_numbers_are_refused(propose, qty):
    status, answer = propose({**MOVE, "qty": qty})

    assert (status, answer["detail"]) == (400, "qty: A valid integer is required.")


def test_all_invalid_fields_of_a_proposal_are_named(propose):
    status, answer = propose({"from_station_id": 1.5, "to_station_id": 200, "qty": 0})

    assert (status, set(answer["errors"])) == (400, {"from_station_id", "qty", "reason"})
    assert answer["detail"] == (
        "from_station_id: A valid integer is required."
        " qty: Ensure this value is greater than or equal to 1."
        " reason: This field is required."
    )


def test_same_station_twice_is_named_beside_other_invalid_fields(propose):
    status, answer = propose([{"from_station_id": "100", "to_station_id": 100, "qty": 0}])

    assert (status, set(answer["errors"]["0"])) == (400, {"to_station_id", "qty", "reason"})
    assert "to_station_id: The two stations must differ." in answer["detail"]


def test_the_detail_of_many_proposals_names_the_first_bad_row(propose):
    status, answer = propose([MOVE, *({**MOVE, "qty": 0} for _ in range(30))])

    assert (status, answer["detail"]) == (
        400,
        "Row 2: qty: Ensure this value is greater than or equal to 1. 29 more rows are invalid.",
    )
    assert list(answer["errors"]) == [str(number) for number in range(1, 21)]


def test_expired_proposals_and_unknown_stations_are_counted_not_refused(client):
    StationFactory(id=100)
    body = [
        {**MOVE, "expires_at": "2015-05-04T08:00:00Z"},
        {**MOVE, "to_station_id": 901},
        {**MOVE, "to_station_id": 902, "expires_at": "2035-05-04T08:00:00Z"},
    ]

    answer = client.post("/suggestions", body, content_type="application/json")

    assert [each["outcome"] for each in answer.json()] == ["created"] * 3
    assert answer.headers["X-Warning"] == (
        "Already expired: 1. Stations that no feed has listed: 3 (200, 901, 902)."
    )
    details = TaskEvent.objects.get().details
    assert (details["expired"], details["unknown_stations"]) == (1, 3)


def test_stations_are_not_unknown_where_no_feed_was_read(client):
    answer = client.post("/suggestions", MOVE, content_type="application/json")

    assert answer.status_code == 200
    assert "X-Warning" not in answer.headers


@pytest.mark.slow
def test_a_thousand_proposals_take_few_queries(propose, django_assert_max_num_queries):
    moves = [{**MOVE, "to_station_id": 1000 + n, "source": "ml-v2"} for n in range(1000)]

    with django_assert_max_num_queries(15):
        assert propose(moves)[0] == 200
    with django_assert_max_num_queries(20):
        assert {each["outcome"] for each in propose(moves)[1]} == {"refreshed"}
    assert Suggestion.objects.count() == 1000


@pytest.mark.django_db(transaction=True)
def test_concurrent_proposals_of_a_move_make_one_suggestion():
    row = SuggestionRow(**MOVE)

    with background() as run:
        with transaction.atomic():
            propose = services.proposals.propose_suggestions.__wrapped__
            propose([row], source="ml-v2", actor="api")
            second = run(services.propose_suggestions, [row], source="ml-v2", actor="api")
            wait_until_blocked(second)
        (proposal,) = second.result(timeout=10).proposals
    assert proposal.outcome == "refreshed"
    assert Suggestion.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_move_approved_meanwhile_is_not_refreshed():
    suggestion = SuggestionFactory(source="ml-v2")
    row = SuggestionRow(**MOVE)

    with background() as run:
        with open_transaction():
            services.approve_suggestion(suggestion.id, actor="maria")
            proposing = run(services.propose_suggestions, [row], source="ml-v2", actor="api")
            wait_until_blocked(proposing)
        (proposal,) = proposing.result(timeout=10).proposals
    assert proposal.outcome == "under_way"
    assert not Suggestion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_only_the_named_moves_are_locked():
    rows = [
        SuggestionRow(from_station_id=1, to_station_id=10, qty=5, reason="Full"),
        SuggestionRow(from_station_id=2, to_station_id=20, qty=5, reason="Full"),
    ]
    unnamed = SuggestionFactory(source="ml-v2", from_station_id=1, to_station_id=20)

    with background() as run, transaction.atomic():
        services.proposals.propose_suggestions.__wrapped__(rows, source="ml-v2", actor="api")
        approval = run(services.approve_suggestion, unnamed.id, actor="maria")
        assert approval.result(timeout=10).task.suggestion_id == unnamed.id
