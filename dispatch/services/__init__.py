"""Every operation that changes state. Each locks, checks, writes, records one event and commits."""

from .approvals import Approval, approve_suggestion, approve_suggestions, create_task
from .assignments import Assignment, approve_and_assign
from .claims import claim_next_task, extend_held, extend_lease, reassign_task, release_task
from .crew_reports import PhoneReport, apply_crew_report
from .crews import CrewRow, RosterChange, import_crews, lock_roster
from .doubts import doubts_about
from .enrolment import create_code, enrolment_link, find_code, find_device, join, revoke_device
from .heartbeats import note_success
from .import_original import Imported, import_original
from .ingest import IngestResult, ingest_suggestions
from .mail_queue import (
    MailOutcome,
    bundle_alerts,
    claim_mail,
    enqueue_daily_reports,
    record_mail,
    repeat_mail,
)
from .mail_states import note_mail_states
from .mail_subscriptions import (
    alert_types_for,
    check_mail_is_set_up,
    may_get_report,
    request_test_mail,
    subscribe_to_mail,
)
from .messages import message_crew, note_seen
from .old_rows import (
    CLUSTER_OUTAGES,
    OUTAGES,
    POLLS,
    SUGGESTION_EVENTS,
    OldRows,
    count_old,
    prune_rows,
)
from .proposals import Outcome, Proposal, ProposalResult, propose_suggestions
from .prune import Pruned, count_prunable, prune_tasks
from .reported import Report
from .rollups import due_days, past_days, roll_up
from .stations.feeds import FeedReading, find_known_feeds, note_trouble, note_unmodified
from .stations.status import StatusResult, record_status
from .stations.sync import SyncResult, sync_stations
from .suggester import Suggested, suggest_moves
from .suggestion_rows import SuggestionRow
from .suggestions import create_suggestion, prioritize_suggestion, reject_suggestion
from .sweep import SweepResult, sweep
from .systems import (
    SystemLease,
    SystemRow,
    check_address,
    end_lease,
    import_systems,
    lease_systems,
    read_soon,
    release_systems,
)
from .tasks import cancel_task, complete_task, prioritize_task
from .tokens import create_token, find_token, revoke_token
from .undo import UNDO_SECONDS, undo_approval, undo_rejection
from .webhook_endpoints import (
    check_url,
    create_endpoint,
    disable_endpoint,
    enable_endpoint,
    ping_endpoint,
    repeat_dead,
    repeat_delivery,
    rotate_secret,
)
from .webhook_queue import Answer, Attempt, claim_deliveries, record_attempt
from .webhook_states import State, enqueue_states

__all__ = [
    "CLUSTER_OUTAGES",
    "OUTAGES",
    "POLLS",
    "SUGGESTION_EVENTS",
    "UNDO_SECONDS",
    "Answer",
    "Approval",
    "Assignment",
    "Attempt",
    "CrewRow",
    "FeedReading",
    "Imported",
    "IngestResult",
    "MailOutcome",
    "OldRows",
    "Outcome",
    "PhoneReport",
    "Proposal",
    "ProposalResult",
    "Pruned",
    "Report",
    "RosterChange",
    "State",
    "StatusResult",
    "Suggested",
    "SuggestionRow",
    "SweepResult",
    "SyncResult",
    "SystemLease",
    "SystemRow",
    "alert_types_for",
    "apply_crew_report",
    "approve_and_assign",
    "approve_suggestion",
    "approve_suggestions",
    "bundle_alerts",
    "cancel_task",
    "check_address",
    "check_mail_is_set_up",
    "check_url",
    "claim_deliveries",
    "claim_mail",
    "claim_next_task",
    "complete_task",
    "count_old",
    "count_prunable",
    "create_code",
    "create_endpoint",
    "create_suggestion",
    "create_task",
    "create_token",
    "disable_endpoint",
    "doubts_about",
    "due_days",
    "enable_endpoint",
    "end_lease",
    "enqueue_daily_reports",
    "enqueue_states",
    "enrolment_link",
    "extend_held",
    "extend_lease",
    "find_code",
    "find_device",
    "find_known_feeds",
    "find_token",
    "import_crews",
    "import_original",
    "import_systems",
    "ingest_suggestions",
    "join",
    "lease_systems",
    "lock_roster",
    "may_get_report",
    "message_crew",
    "note_mail_states",
    "note_seen",
    "note_success",
    "note_trouble",
    "note_unmodified",
    "past_days",
    "ping_endpoint",
    "prioritize_suggestion",
    "prioritize_task",
    "propose_suggestions",
    "prune_rows",
    "prune_tasks",
    "read_soon",
    "reassign_task",
    "record_attempt",
    "record_mail",
    "record_status",
    "reject_suggestion",
    "release_systems",
    "release_task",
    "repeat_dead",
    "repeat_delivery",
    "repeat_mail",
    "request_test_mail",
    "revoke_device",
    "revoke_token",
    "roll_up",
    "rotate_secret",
    "subscribe_to_mail",
    "suggest_moves",
    "sweep",
    "sync_stations",
    "undo_approval",
    "undo_rejection",
]
