import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission

from baywheels.sessions import renew
from dispatch.roles import create_missing_roles

from .support.browser import browse, chromium
from .support.factories import UserFactory
from .support.server import serve

__all__ = ["browse", "chromium"]


@pytest.fixture
def roles(db):
    """The roles that `migrate` creates; a test with its own transactions empties all tables."""
    create_missing_roles(apps=apps, using="default")


def signed_in(client, user):
    """Like `force_login`, without its signals, which take as long as a short test."""
    session = client.session
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    renew(session)
    session.save()
    return client


@pytest.fixture
def dispatcher(client):
    """A client signed in as maria, with every permission in the console."""
    return signed_in(client, UserFactory(username="maria"))


@pytest.fixture
def viewer(client):
    """A client signed in as eve, with permissions to view everything and change nothing."""
    user = UserFactory(username="eve", is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return signed_in(client, user)


@pytest.fixture(scope="session")
def one_gunicorn(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), serve() as server:
        yield server


@pytest.fixture(scope="session")
def one_closed_gunicorn(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), serve(API_AUTH="required", LOG_LEVEL="INFO") as server:
        yield server


@pytest.fixture
def server(transactional_db, one_gunicorn):
    """The server that all tests of this process share; each test finds the tables empty."""
    return one_gunicorn


@pytest.fixture
def closed_server(transactional_db, one_closed_gunicorn):
    """Like `server`, but it requires a token from every client."""
    return one_closed_gunicorn
