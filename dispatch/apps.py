from django.apps import AppConfig
from django.urls import register_converter

from .converters import RowIdConverter


class DispatchConfig(AppConfig):
    name = "dispatch"
    verbose_name = "Dispatch"

    def ready(self) -> None:
        register_converter(RowIdConverter, "row_id")
