from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ProjectConfig(AppConfig):
    """Makes the project's own commands known: devdb and quickstart."""

    name = "baywheels"


class ConsoleConfig(AdminConfig):
    default_site = "baywheels.admin_site.ConsoleSite"
