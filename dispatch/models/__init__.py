"""Tables and their rules. PostgreSQL enforces the rules: constraints, triggers, defaults."""

from .claim_keys import ClaimKey
from .cluster_outages import ClusterOutage
from .crews import Crew, Language
from .events import ANSWERS, EventKind, RejectionCode, TaskEvent, no_details
from .heartbeats import Heartbeat
from .mail import MailAlert, MailKind, MailMessage, MailState, MailSubscription
from .moves import (
    INT4_MAX,
    PRIORITY_MAX,
    PRIORITY_MIN,
    SOURCE_LENGTH,
    TEXT_LENGTH,
    WORKER_ID_LENGTH,
    Move,
)
from .phones import CrewCode, CrewDevice, CrewReport, Problem, ReportKind, WrongCode
from .rollups import Rollup
from .stations import (
    AREA_LENGTH,
    FIRST_OWN_NUMBER,
    FeedKind,
    FeedWatch,
    OutageKind,
    Station,
    StationAlias,
    StationFeed,
    StationOutage,
    StationStatus,
    StatusPoll,
)
from .suggestions import Suggestion
from .systems import System
from .tasks import OPEN_STATUSES, Task, TaskStatus
from .tokens import ApiToken
from .users import User
from .webhooks import (
    PING,
    DeliveryState,
    EndpointState,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookType,
)

__all__ = [
    "ANSWERS",
    "AREA_LENGTH",
    "FIRST_OWN_NUMBER",
    "INT4_MAX",
    "OPEN_STATUSES",
    "PING",
    "PRIORITY_MAX",
    "PRIORITY_MIN",
    "SOURCE_LENGTH",
    "TEXT_LENGTH",
    "WORKER_ID_LENGTH",
    "ApiToken",
    "ClaimKey",
    "ClusterOutage",
    "Crew",
    "CrewCode",
    "CrewDevice",
    "CrewReport",
    "DeliveryState",
    "EndpointState",
    "EventKind",
    "FeedKind",
    "FeedWatch",
    "Heartbeat",
    "Language",
    "MailAlert",
    "MailKind",
    "MailMessage",
    "MailState",
    "MailSubscription",
    "Move",
    "OutageKind",
    "Problem",
    "RejectionCode",
    "ReportKind",
    "Rollup",
    "Station",
    "StationAlias",
    "StationFeed",
    "StationOutage",
    "StationStatus",
    "StatusPoll",
    "Suggestion",
    "System",
    "Task",
    "TaskEvent",
    "TaskStatus",
    "User",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookType",
    "WrongCode",
    "no_details",
]
