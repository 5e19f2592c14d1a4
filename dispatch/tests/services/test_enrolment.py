"""Codes with which phones join a crew, and the phones that have joined."""

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.exceptions import CodeRefused, Conflict, NotFound, TooManyTries
from dispatch.models import Crew, CrewCode, CrewDevice, WrongCode
from dispatch.models.phones import CODE_LIFE, SIGN_OF_LIFE_PRECISION
from dispatch.services.enrolment import OF_ADDRESS, OF_SERVICE, REPEATABLE_FOR
from dispatch.services.sweep import CODE_KEPT

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.factories import CrewFactory
from ..support.guards import without_row_locks

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
NONCE, OTHER_NONCE = "a" * 22, "b" * 22
WRONG = "XXXX-XXXX"


@pytest.fixture
def crew(db):
    return CrewFactory(worker_id="van-3")


@pytest.fixture
def code(crew):
    return services.create_code(crew.pk, actor="maria")[1]


def join(text, nonce=NONCE, address=HERE, **options):
    return services.join(text, nonce, label="iPhone, Safari", address=address, **options)


def refused(text, nonce=NONCE, address=HERE):
    with pytest.raises(CodeRefused):
        join(text, nonce, address)
    return True


def move_back(duration):
    """Make all codes and tries older."""
    CrewCode.objects.update(expires_at=F("expires_at") - duration, used_at=F("used_at") - duration)
    WrongCode.objects.update(at=F("at") - duration)


# Codes


def test_only_a_keyed_hash_of_a_code_is_stored(crew, settings):
    row, text = services.create_code(crew.pk, actor="maria")

    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", text)
    (stored,) = CrewCode.objects.values()
    assert text not in str(stored)
    assert text.replace("-", "") not in str(stored)
    assert (stored["created_by"], row.expires_at - row.created_at) == ("maria", CODE_LIFE)
    settings.SECRET_KEY = "another key"
    assert refused(text)


def test_codes_differ(crew):
    assert len({services.create_code(crew.pk, actor="maria")[1] for _ in range(50)}) == 50


def test_new_code_replaces_the_unused_codes_of_its_crew_only(crew, code):
    joined, _ = join(code)
    unused = services.create_code(crew.pk, actor="maria")[1]
    others = services.create_code(CrewFactory().pk, actor="maria")[1]

    new = services.create_code(crew.pk, actor="tom")[1]

    assert refused(unused)
    assert join(new)[0].crew == crew
    assert join(others, address=ELSEWHERE)[0].crew != crew
    joined.refresh_from_db()
    assert joined.code is not None


def test_no_code_is_made_for_an_unknown_or_inactive_crew(crew):
    Crew.objects.update(active=False)

    with pytest.raises(Conflict):
        services.create_code(crew.pk, actor="maria")
    with pytest.raises(NotFound):
        services.create_code(0, actor="maria")
    assert not CrewCode.objects.exists()


@pytest.mark.parametrize(
    "typed",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: f" {code[:4]} \u2013 {code[5:]}\n",
    ],
)
def test_code_is_found_however_it_is_typed(crew, code, typed):
    assert services.find_code(typed(code), address=HERE).crew == crew
    assert join(typed(code))[0].crew == crew


def test_finding_a_code_does_not_spend_it(crew, code):
    for _ in range(3):
        assert services.find_code(code, address=HERE).crew == crew
    assert join(code)


def spend(code):
    join(code, OTHER_NONCE)


def expire(_):
    move_back(CODE_LIFE)


def deactivate(_):
    Crew.objects.update(active=False)


@pytest.mark.parametrize("end", [spend, expire, deactivate])
def test_unusable_code_is_refused_like_a_wrong_one(code, end):
    with pytest.raises(CodeRefused) as wrong:
        join(WRONG)
    end(code)

    for attempt in (join, lambda text: services.find_code(text, address=HERE)):
        with pytest.raises(CodeRefused) as unusable:
            attempt(code)
        assert str(unusable.value) == str(wrong.value)
    assert CrewDevice.objects.count() == (end is spend)


@pytest.mark.parametrize(
    "text", ["", "BCDF", "BCDFGHJKL", "\0" * 8, "\u0412CDF-GHJK", "\ud800", "🚲" * 8]
)
def test_text_that_is_no_code_counts_as_a_wrong_code(text):
    assert refused(text)
    assert WrongCode.objects.count() == 1


# Joining


def test_joining_signs_the_phone_in_and_spends_the_code(crew, code):
    device, secret = join(code)

    assert (device.crew, device.label) == (crew, "iPhone, Safari")
    found = services.find_device(secret)
    assert (found, found.crew) == (device, crew)
    assert secret not in str(CrewDevice.objects.values())
    crew.refresh_from_db()
    assert crew.last_seen_at is not None
    assert refused(code, OTHER_NONCE)


def test_same_phone_may_repeat_its_request_for_a_minute(code):
    first = join(code)

    assert join(code.lower()) == first
    assert services.find_device(first[1]) == first[0]
    move_back(REPEATABLE_FOR)
    assert refused(code)
    assert CrewDevice.objects.count() == 1


def test_signed_out_phone_cannot_return_by_repeating_its_request(code):
    device, secret = join(code)
    services.revoke_device(device.pk, actor="maria")

    assert refused(code)
    assert services.find_device(secret) is None


def test_secret_depends_on_the_code_and_the_nonce(crew, code):
    first = join(code)[1]
    second = join(services.create_code(crew.pk, actor="maria")[1])[1]
    third = join(services.create_code(crew.pk, actor="maria")[1], OTHER_NONCE)[1]

    assert len({first, second, third}) == 3
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", secret) for secret in (first, second, third))


def test_phone_that_joins_again_loses_its_former_sign_in(crew, code):
    _, other_phone = join(services.create_code(crew.pk, actor="maria")[1], OTHER_NONCE)
    former, secret = join(services.create_code(crew.pk, actor="maria")[1])
    elsewhere = CrewFactory(worker_id="van-4")

    new, _ = join(services.create_code(elsewhere.pk, actor="maria")[1], former_secret=secret)

    assert services.find_device(secret) is None
    former.refresh_from_db()
    assert former.revoked_by == "crew van-4"
    assert new.crew == elsewhere
    assert services.find_device(other_phone)


def test_repeated_request_with_its_new_cookie_keeps_the_phone_signed_in(code):
    device, secret = join(code)

    assert join(code, former_secret=secret) == (device, secret)
    assert services.find_device(secret) == device


def second_phone_at_once(code):
    """Return the error of a phone that spends the code while another does."""
    with background() as run:
        with open_transaction():
            join(code)
            second = run(join, code, OTHER_NONCE, ELSEWHERE)
            wait_until_blocked(second)
        return second.exception(timeout=20)


@pytest.mark.django_db(transaction=True)
def test_of_two_phones_with_one_code_exactly_one_joins(code):
    assert isinstance(second_phone_at_once(code), CodeRefused)
    assert CrewDevice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_its_lock_two_phones_would_spend_one_code(code):
    with without_row_locks():
        error = second_phone_at_once(code)

    # The rule of the table stops the second one.
    assert isinstance(error, IntegrityError)


@pytest.mark.django_db(transaction=True)
def test_new_code_waits_for_a_phone_that_is_joining(crew, code):
    with background() as run:
        with open_transaction():
            device, _ = join(code)
            new = run(services.create_code, crew.pk, actor="maria")
            wait_until_blocked(new)
        new.result(timeout=20)

    device.refresh_from_db()
    assert device.code is not None


# Signed-in phones


def test_finding_a_phone_takes_one_query_and_records_signs_of_life(crew, code):
    device, secret = join(code)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            services.find_device(secret)
        return [query["sql"].split()[0] for query in captured]

    assert queries() == ["SELECT"]
    CrewDevice.objects.update(last_seen_at=Now() - SIGN_OF_LIFE_PRECISION)
    Crew.objects.update(last_seen_at=None)
    assert queries() == ["SELECT", "UPDATE", "UPDATE"]
    assert queries() == ["SELECT"]
    device.refresh_from_db()
    crew.refresh_from_db()
    assert device.last_seen_at == pytest.approx(crew.last_seen_at, abs=timedelta(seconds=1))


def test_inactive_crews_phones_are_signed_out_until_it_is_active_again(crew, code):
    device, secret = join(code)

    Crew.objects.update(active=False)
    assert services.find_device(secret) is None
    Crew.objects.update(active=True)
    assert services.find_device(secret) == device


def test_revoked_phone_is_signed_out_at_once_and_others_stay(crew, code):
    device, secret = join(code)
    other, others_secret = join(services.create_code(crew.pk, actor="maria")[1])

    assert services.revoke_device(device.pk, actor="maria").changed
    assert services.find_device(secret) is None
    assert services.find_device(others_secret) == other


def test_revoking_a_phone_again_changes_nothing(code):
    device, _ = join(code)
    first = services.revoke_device(device.pk, actor="maria")
    again = services.revoke_device(device.pk, actor="tom")

    assert (first.changed, again.changed) == (True, False)
    assert (again.revoked_at, again.revoked_by) == (first.revoked_at, "maria")
    with pytest.raises(NotFound):
        services.revoke_device(0, actor="maria")


@pytest.mark.parametrize("secret", ["", "x", "\0", "\ud800", "x" * 10_000])
def test_unknown_secret_finds_no_phone(code, secret):
    join(code)

    assert services.find_device(secret) is None


# Wrong codes


def test_address_gets_five_tries_in_fifteen_minutes(code):
    for _ in range(OF_ADDRESS.tries):
        assert refused(WRONG)

    for attempt in (lambda: join(code), lambda: services.find_code(code, address=HERE)):
        with pytest.raises(TooManyTries) as refusal:
            attempt()
        assert 0 < refusal.value.wait <= OF_ADDRESS.span.total_seconds()
    assert WrongCode.objects.count() == OF_ADDRESS.tries
    assert services.find_code(code, address=ELSEWHERE)
    WrongCode.objects.filter(pk=WrongCode.objects.earliest("at").pk).update(
        at=F("at") - OF_ADDRESS.span
    )
    assert join(code)


def test_right_codes_are_no_tries_and_joining_clears_the_wrong_ones(crew, code):
    for _ in range(OF_ADDRESS.tries - 1):
        assert refused(WRONG)
        assert services.find_code(code, address=HERE)
    assert join(code)

    assert not WrongCode.objects.exists()


def test_all_addresses_together_have_a_limit_that_ends_within_a_minute(code):
    WrongCode.objects.bulk_create(
        WrongCode(address=f"198.51.100.{number}") for number in range(OF_SERVICE.tries)
    )

    with pytest.raises(TooManyTries) as refusal:
        join(code)
    assert 0 < refusal.value.wait <= 60
    move_back(OF_SERVICE.span)
    CrewCode.objects.update(expires_at=Now() + CODE_LIFE)
    assert join(code)


@pytest.mark.django_db(transaction=True)
def test_simultaneous_tries_of_one_address_do_not_exceed_its_limit():
    with background() as run:
        with open_transaction():
            for _ in range(OF_ADDRESS.tries):
                assert refused(WRONG)
            one_more = run(join, WRONG)
            wait_until_blocked(one_more)
        assert isinstance(one_more.exception(timeout=20), TooManyTries)


# The sweep


def test_sweep_removes_old_codes_and_tries_and_keeps_the_phones(crew, code):
    device, secret = join(code)
    services.create_code(crew.pk, actor="maria")
    refused(WRONG)
    assert services.sweep(actor="sweep").codes == 0

    move_back(OF_ADDRESS.span)
    assert services.sweep(actor="sweep").codes == 1
    assert CrewCode.objects.count() == 2
    move_back(CODE_KEPT)
    assert services.sweep(actor="sweep").codes == 2
    assert services.find_device(secret) == device
    device.refresh_from_db()
    assert device.code is None


def test_link_has_the_code_in_its_fragment():
    for url in ("https://dispatch.example/bikes", "https://dispatch.example/bikes/"):
        link = services.enrolment_link(url, "BCDF-GHJK")
        assert link == "https://dispatch.example/bikes/crew/join#BCDF-GHJK"
