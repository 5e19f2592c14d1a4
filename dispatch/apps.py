from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.urls import register_converter

from .converters import RowIdConverter
from .roles import create_missing_roles


class DispatchConfig(AppConfig):
    name = "dispatch"
    verbose_name = "Dispatch"

    def ready(self) -> None:
        register_converter(RowIdConverter, "row_id")
        # After the receiver of django.contrib.auth, which creates the permissions.
        post_migrate.connect(create_missing_roles, sender=self)
