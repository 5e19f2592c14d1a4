"""E-mails in a browser: readable in both schemes, and never wider than the screen."""

from datetime import date

import pytest

from dispatch import services
from dispatch.mail.alerts import alerts_content
from dispatch.mail.report import report_content
from dispatch.models import MailAlert

from ..support.accessibility import violations
from ..support.factories import StationFactory, claimed
from ..support.kpi_days import small_city
from ..support.kpi_shift import shift

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def report(_):
    small_city()
    shift()
    return report_content(date(2015, 5, 4))


def alerts(subscribe):
    subscribe()
    StationFactory(id=100, name="Long name of a station " * 4)
    services.complete_task(claimed().pk, actor="api")
    return alerts_content(MailAlert.objects.all())


@pytest.mark.parametrize("write", [report, alerts])
def test_e_mail_fits_and_is_readable(set_up, subscribe, chromium, write):
    html = write(subscribe).html
    for scheme in ("light", "dark"):
        with chromium.new_context(color_scheme=scheme) as context:
            page = context.new_page()
            page.set_content(html)
            for width in (600, 360):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") == width
            # A mail program draws the e-mail within its own page.
            found = [
                each for each in violations(page) if not each.startswith(("region", "landmark"))
            ]
            assert not found, "\n".join([scheme, *found])
