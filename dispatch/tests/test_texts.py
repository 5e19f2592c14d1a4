"""Names and texts in any script, wherever the service accepts them."""

import pytest
from django.core.management import call_command

from dispatch import services
from dispatch.admin.assign_forms import ReassignForm
from dispatch.exceptions import Refusal
from dispatch.gbfs.values import one_line
from dispatch.kpi.text import shown
from dispatch.models import Suggestion, Task
from dispatch.texts import is_printable, isolated, printable

from .support.factories import TaskFactory, UserFactory

JOINED = {
    "persian": "می\u200cدان",  # noqa: RUF001
    "emoji": "👩🏽\u200d🚒 🏳️\u200d🌈",
    "sinhala": "ශ්\u200dරී",
    "malayalam": "അവന്\u200d",
}
REFUSED = {
    "control": "van\x071",
    "escape": "\x1b[2Jvan",
    "line break": "van\n1",
    "line separator": "van\u20281",
    "override": "\u202e1nav",
    "embedding": "van\u202b1",
    "isolate": "van\u20681",
    "invisible joiner": "van\u200d1",
    "leading joiner": "\u200dvan",
    "joiner twice": "م\u200c\u200cن",
    "zero-width space": "م\u200bن",
}
joined = pytest.mark.parametrize("text", JOINED.values(), ids=JOINED)
refused = pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
MOVE = {"from_station_id": 1, "to_station_id": 2, "qty": 3}


@joined
def test_joiners_inside_names_belong_on_a_line(text):
    assert is_printable(text)
    assert printable(text) == text


@refused
def test_invisible_and_reordering_characters_do_not_belong_on_a_line(text):
    assert not is_printable(text)
    assert is_printable(printable(text))


@joined
@pytest.mark.django_db
def test_api_keeps_joiners_in_every_text(client, text):
    def post(path, **body):
        answer = client.post(path, body, content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    proposed = post("/suggestions", **MOVE, reason=text, source=text)
    suggestion = Suggestion.objects.get()
    assert (suggestion.reason, suggestion.source) == (text, text), proposed
    post("/task/approve", suggestion_id=suggestion.pk)
    task = post("/dispatch/next", worker_id=text)
    assert task["worker_id"] == text
    post(f"/task/{task['id']}/complete", worker_id=text, note=text)
    assert Task.objects.get().note == text


@refused
@pytest.mark.django_db
def test_api_refuses_names_that_are_not_one_printable_line(client, text):
    TaskFactory()
    answer = client.post("/dispatch/next", {"worker_id": text}, content_type="application/json")
    assert answer.status_code == 400
    proposal = {**MOVE, "reason": "why", "source": text}
    assert client.post("/suggestions", proposal, content_type="application/json").status_code == 400
    assert Task.objects.get().status == "ready"
    assert not Suggestion.objects.exists()


@joined
def test_feeds_and_reports_keep_joiners_in_names(text):
    assert one_line(text, 100) == text
    assert shown(text) == text


@joined
@pytest.mark.django_db
def test_console_tokens_and_files_keep_joiners_in_names(text, tmp_path):
    form = ReassignForm({"worker_id": text, "reason": text})
    assert form.is_valid(), form.errors
    token, _ = services.create_token(UserFactory(), actor="a", label=text, worker_id=text)
    assert (token.label, token.worker_id) == (text, text)
    file = tmp_path / "moves.csv"
    file.write_text(f"from_station_id,to_station_id,qty,reason\n1,2,3,{text}\n")
    call_command("ingest_suggestions", str(file), source=text)
    suggestion = Suggestion.objects.get()
    assert (suggestion.reason, suggestion.source) == (text, text)


@refused
@pytest.mark.django_db
def test_console_tokens_and_files_refuse_what_the_api_refuses(text):
    assert not ReassignForm({"worker_id": text, "reason": "why"}).is_valid()
    with pytest.raises(Refusal):
        services.create_token(UserFactory(), actor="a", label="phone", worker_id=text)
    with pytest.raises(Refusal):
        services.ingest_suggestions([], source=text, actor="a")


def test_isolation_surrounds_right_to_left_names_only():
    assert isolated("Größe → 5") == "Größe → 5"
    assert isolated("محطة") == "\u2068محطة\u2069"
    assert isolated("Gate שער") == "\u2068Gate שער\u2069"
