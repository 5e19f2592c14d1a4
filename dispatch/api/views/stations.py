from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.viewsets import GenericViewSet

from ... import exceptions
from ...models import Station
from ..pagination import LinkCursorPagination
from ..schema import STATION, example, responses
from ..serializers.responses import StationSerializer


@extend_schema_view(
    list=extend_schema(
        operation_id="list_stations",
        summary="Stations",
        description=(
            "All stations in id order with their latest status, or pages of them with `limit` and "
            "`cursor`. Suggestions and tasks refer to these ids, but may also name a station that "
            "is not listed. A station left its feed at `gone_at`."
        ),
        responses=responses(StationSerializer(many=True), 400, examples=[example(STATION)]),
        tags=["stations"],
    ),
    retrieve=extend_schema(
        operation_id="get_station",
        summary="One station",
        description="The station with its latest status.",
        responses=responses(StationSerializer, 404, examples=[example(STATION)]),
        tags=["stations"],
    ),
)
class StationViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[Station]):
    authority = {"list": ["view_station"], "retrieve": ["view_station"]}
    queryset = Station.objects.order_by("id")
    serializer_class = StationSerializer
    pagination_class = LinkCursorPagination
    lookup_url_kwarg = "station_id"
    lookup_value_converter = "row_id"

    def get_queryset(self) -> QuerySet[Station]:
        return super().get_queryset().select_related("status")

    def get_object(self) -> Station:
        station = self.get_queryset().filter(pk=self.kwargs["station_id"]).first()
        if station is None:
            raise exceptions.NotFound(f"Station {self.kwargs['station_id']} not found.")
        return station
