"""The operations on endpoints and deliveries that the console offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.template.defaultfilters import pluralize

from .. import services
from ..models import DeliveryState, EndpointState
from .forms import DateTimeInput


class ActionForm(forms.Form):
    """Confirms an action."""


class SinceForm(ActionForm):
    since = forms.DateTimeField(
        label="Created since",
        widget=DateTimeInput,
        help_text="Deliveries that were given up, and were created at this time or later.",
    )


@dataclass(frozen=True)
class RowAction:
    """`run(pk, actor, **answers)` calls the service. `done` names its result in a sentence.
    `explains` stands above the button that confirms."""

    name: str
    label: str
    explains: str
    run: Callable[..., Any]
    done: Callable[[Any], str]
    possible: Callable[[Any], bool] = lambda _: True
    form: type[ActionForm] = ActionForm
    shows_secret: bool = False


def is_enabled(endpoint: Any) -> bool:
    return bool(endpoint.state == EndpointState.ENABLED)


ENDPOINT_ACTIONS = (
    RowAction(
        name="ping",
        label="Send a test",
        explains="A delivery of the type ping is sent.",
        run=lambda pk, actor: services.ping_endpoint(pk, actor=actor),
        done=lambda _: "Enqueued a test.",
        possible=is_enabled,
    ),
    RowAction(
        name="rotate",
        label="Rotate the secret",
        explains="A new secret is shown once. For a day, the present one signs as well.",
        run=lambda pk, _: services.rotate_secret(pk),
        done=lambda _: "Rotated the secret.",
        shows_secret=True,
    ),
    RowAction(
        name="repeat_failed",
        label="Repeat failed deliveries",
        explains="They are sent again, with the ids that they had.",
        run=lambda pk, _, since: services.repeat_dead(pk, since),
        done=lambda number: f"Repeated {number:,} deliver{pluralize(number, 'y,ies')}.",
        possible=is_enabled,
        form=SinceForm,
    ),
    RowAction(
        name="disable",
        label="Disable",
        explains="Nothing more is sent. Pending deliveries are given up, and new ones not written.",
        run=lambda pk, actor: services.disable_endpoint(pk, actor=actor),
        done=lambda _: "Disabled.",
        possible=lambda endpoint: endpoint.state != EndpointState.DISABLED,
    ),
    RowAction(
        name="enable",
        label="Enable",
        explains="New deliveries are sent from now on. Those that were given up can be repeated.",
        run=lambda pk, _: services.enable_endpoint(pk),
        done=lambda _: "Enabled.",
        possible=lambda endpoint: not is_enabled(endpoint),
    ),
)

DELIVERY_ACTIONS = (
    RowAction(
        name="repeat",
        label="Repeat",
        explains="The delivery is sent again, with the id that it had.",
        run=lambda pk, _: services.repeat_delivery(pk),
        done=lambda _: "Repeated.",
        possible=lambda delivery: delivery.state != DeliveryState.PENDING,
    ),
)
