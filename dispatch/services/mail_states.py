"""Alerts about states that no event marks. The unique id of an alert keeps it to one each."""

from collections.abc import Callable, Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef

from ..models import MailAlert, MailSubscription
from .webhook_states import MOST_OF_A_STATE, State


def note_mail_states(read_states: Callable[[], Iterable[State]]) -> int:
    """Write alerts about rows that have entered a state. Return their number.

    Nothing is read if no user wants any.
    """
    subscriptions = list(MailSubscription.objects.active().exclude(types=[]))
    states = list(read_states()) if subscriptions else []
    return sum(
        note_state(subscription, state)
        for subscription in subscriptions
        for state in states
        if state.type in subscription.types
    )


@transaction.atomic(durable=True)
def note_state(subscription: MailSubscription, state: State) -> int:
    known = MailAlert.objects.filter(subscription=subscription, event_id=OuterRef("event_id"))
    alerts = [
        MailAlert(
            subscription=subscription,
            event_id=row.event_id,
            type=state.type,
            data=state.data(row),
        )
        for row in state.rows.exclude(Exists(known))[:MOST_OF_A_STATE]
    ]
    # Another sender may have noticed the same.
    MailAlert.objects.bulk_create(alerts, ignore_conflicts=True)
    return len(alerts)
