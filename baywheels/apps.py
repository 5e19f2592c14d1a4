from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.signals import user_logged_in

from .sessions import start_session


class ProjectConfig(AppConfig):
    """Makes the project's own commands known: devdb and quickstart."""

    name = "baywheels"

    def ready(self) -> None:
        user_logged_in.connect(start_session)


class ConsoleConfig(AdminConfig):
    default_site = "baywheels.admin_site.ConsoleSite"
