"""The roster's pages."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.admin.crews import CrewForm
from dispatch.models import Crew

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import CrewFactory, StationFactory, TaskFactory

pytestmark = pytest.mark.django_db

ROSTER = "/admin/dispatch/crew/"
FORM = {"worker_id": "van-1", "language": "en", "active": "on"}


@pytest.fixture
def areas():
    for area in ("San Francisco", "East Bay", "", "East Bay"):
        StationFactory(area=area)


def ids_in(answer):
    return [crew.worker_id for crew in answer.context["cl"].result_list]


@pytest.mark.usefixtures("areas")
def test_lead_adds_and_changes_a_crew(dispatcher):
    form = dispatcher.get(f"{ROSTER}add/").context["adminform"].form
    assert [area for area, _ in form.fields["areas"].choices] == ["East Bay", "San Francisco"]

    dispatcher.post(f"{ROSTER}add/", {**FORM, "areas": ["East Bay"], "capacity": "20"})
    crew = Crew.objects.get()
    assert (crew.worker_id, crew.areas, crew.capacity) == ("van-1", ["East Bay"], 20)

    dispatcher.post(f"{ROSTER}{crew.pk}/change/", {"name": "Night van", "language": "es"})
    crew.refresh_from_db()
    assert (crew.name, crew.areas, crew.capacity, crew.active) == ("Night van", [], None, False)
    assert LogEntry.objects.count() == 2


@pytest.mark.usefixtures("areas")
def test_form_keeps_an_area_that_no_station_has_any_more(dispatcher):
    crew = CrewFactory(areas=["Old Town"])

    answer = dispatcher.post(
        f"{ROSTER}{crew.pk}/change/", {"language": "en", "areas": ["Old Town", "East Bay"]}
    )

    assert answer.status_code == 302
    crew.refresh_from_db()
    assert crew.areas == ["Old Town", "East Bay"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("worker_id", "two\nlines"),
        ("worker_id", "\u202elebal"),
        ("worker_id", " "),
        ("worker_id", "x" * 201),
        ("worker_id", "taken"),
        ("name", "no\u200bthing"),
        ("capacity", "0"),
        ("capacity", "99999999999"),
        ("areas", "Atlantis"),
        ("language", "klingon"),
        ("note", "nul\0"),
    ],
)
def test_faulty_values_are_refused_beside_their_field(dispatcher, field, value):
    CrewFactory(worker_id="taken")

    answer = dispatcher.post(f"{ROSTER}add/", {**FORM, field: value})

    assert field in answer.context["adminform"].form.errors
    assert Crew.objects.count() == 1


def test_crew_id_never_changes(dispatcher):
    crew = CrewFactory(worker_id="van-1")

    dispatcher.post(f"{ROSTER}{crew.pk}/change/", {**FORM, "worker_id": "van-2"})

    assert Crew.objects.get().worker_id == "van-1"


def test_crew_with_a_task_cannot_be_deleted(dispatcher):
    crew = CrewFactory(worker_id="van-1")
    task = TaskFactory(assigned=True)

    assert dispatcher.post(f"{ROSTER}{crew.pk}/delete/", {"post": "yes"}).status_code == 403
    page = dispatcher.get(f"{ROSTER}{crew.pk}/change/").content.decode()
    assert f"/admin/dispatch/task/{task.pk}/change/" in page
    assert "/delete/" not in page

    services.complete_task(task.pk, actor="maria")
    dispatcher.post(f"{ROSTER}{crew.pk}/delete/", {"post": "yes"})
    assert not Crew.objects.exists()


def test_list_shows_filters_and_finds_crews(dispatcher):
    StationFactory(area="East Bay")
    StationFactory(area="San José")
    CrewFactory(worker_id="van-1", areas=["East Bay"], capacity=20, name="Night van")
    CrewFactory(worker_id="van-2", areas=["San José"], active=False)
    CrewFactory(worker_id="van-3")
    TaskFactory.create_batch(2, assigned=True)

    page = dispatcher.get(ROSTER)
    assert ids_in(page) == ["van-1", "van-2", "van-3"]
    for text in ("Night van", "20 bikes", "everywhere", "?worker=van-1", ">2 tasks</a>", "never"):
        assert text in page.content.decode()
    assert ids_in(dispatcher.get(f"{ROSTER}?active__exact=1")) == ["van-1", "van-3"]
    assert ids_in(dispatcher.get(f"{ROSTER}?area=East+Bay")) == ["van-1", "van-3"]
    assert ids_in(dispatcher.get(f"{ROSTER}?q=night")) == ["van-1"]


def test_list_takes_the_same_queries_however_many_crews_there_are(dispatcher):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            dispatcher.get(ROSTER)
        return len(captured)

    CrewFactory()
    before = queries()
    CrewFactory.create_batch(20)
    assert queries() == before


def test_viewer_sees_the_roster_and_changes_nothing(viewer):
    crew = CrewFactory(worker_id="van-1")

    page = viewer.get(ROSTER).content.decode()
    assert "van-1" in page
    assert "Import CSV" not in page
    assert viewer.post(f"{ROSTER}{crew.pk}/change/", FORM).status_code == 403


def test_file_is_imported_and_exported(dispatcher):
    CrewFactory(worker_id="=1+1")
    exported = b"".join(dispatcher.get(f"{ROSTER}list.csv").streaming_content)
    assert b"'=1+1,,,,,en,yes," in exported
    Crew.objects.all().delete()

    answer = dispatcher.post(
        f"{ROSTER}import/", {"file": SimpleUploadedFile("crews.csv", exported)}, follow=True
    )

    assert "Roster: 1 added, 0 changed, 0 unchanged." in answer.content.decode()
    assert Crew.objects.get().worker_id == "=1+1"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"worker_id,capacity\nvan-1,x\n", "line 2: capacity: not a whole number: x"),
        (b"worker_id,capacity\nvan-1,-1\n", "van-1: capacity: Ensure this value is greater"),
        (b"", "The submitted file is empty."),
        (b"\xff\xfe", "UTF-16"),
        (b"worker_id\n" + b"x" * 1_000_000, "The file is larger than 1,000,000 bytes."),
    ],
)
def test_faulty_file_is_refused_on_its_page(dispatcher, content, complaint):
    file = SimpleUploadedFile("crews.csv", content)

    answer = dispatcher.post(f"{ROSTER}import/", {"file": file})

    assert answer.status_code == 200
    assert complaint in answer.content.decode()
    assert not Crew.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_additions_of_one_crew_do_not_fail(dispatcher):
    with background() as run:
        with transaction.atomic():
            services.lock_roster()
            CrewFactory(worker_id="van-1")
            second = run(dispatcher.post, f"{ROSTER}add/", FORM)
            wait_until_blocked(second)
        answer = second.result(timeout=20)

    assert "already exists" in answer.content.decode()
    assert Crew.objects.count() == 1


def test_saving_a_crew_keeps_a_sign_of_life_that_came_meanwhile(dispatcher, monkeypatch):
    crew = CrewFactory(worker_id="van-1")

    def clean_while_the_crew_claims(form):
        Crew.objects.update(last_seen_at=Now())

    monkeypatch.setattr(CrewForm, "clean", clean_while_the_crew_claims)
    dispatcher.post(f"{ROSTER}{crew.pk}/change/", {"name": "Night van", "language": "en"})

    crew.refresh_from_db()
    assert crew.name == "Night van"
    assert crew.last_seen_at


@pytest.mark.parametrize("pk", ["7", "99999999999999999999", "x", "-1", "%00", "٣"])
def test_page_of_an_unknown_crew_leads_to_the_roster(dispatcher, pk):
    answer = dispatcher.get(f"{ROSTER}{pk}/change/")

    assert (answer.status_code, answer["Location"]) == (302, ROSTER)


@pytest.mark.parametrize("query", ["area=%00", "area=%ED", "active__exact=2", "worker_id__regex=("])
def test_list_survives_any_filter(dispatcher, query):
    assert dispatcher.get(f"{ROSTER}?{query}", follow=True).status_code in (200, 400)
