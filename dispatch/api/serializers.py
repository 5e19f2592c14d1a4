from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from ..models import Suggestion, Task
from .fields import INT8_MAX, StrictCharField, StrictIntegerField


class SuggestionSerializer(serializers.ModelSerializer[Suggestion]):
    class Meta:
        model = Suggestion
        fields = ["id", "from_station_id", "to_station_id", "qty", "reason"]
        read_only_fields = fields


class TaskSerializer(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields = [
            "id",
            "from_station_id",
            "to_station_id",
            "qty",
            "reason",
            "status",
            "worker_id",
            "created_at",
        ]
        read_only_fields = fields


def one_line(text: str) -> None:
    if not text.isprintable():
        raise serializers.ValidationError("Must be one line of printable characters.")


class ApproveSerializer(serializers.Serializer[None]):
    suggestion_id = StrictIntegerField(min_value=1, max_value=INT8_MAX)


class ClaimSerializer(serializers.Serializer[None]):
    worker_id = StrictCharField(
        max_length=200,
        validators=[one_line],
        help_text="The van crew, by any name of the operator's choosing.",
    )


class HealthSerializer(serializers.Serializer[None]):
    message = serializers.CharField()


ErrorSerializer = inline_serializer(
    "Error",
    {
        "detail": serializers.CharField(help_text="One sentence."),
        "errors": serializers.DictField(
            required=False, help_text="What is wrong with which field of the request."
        ),
    },
)
