"""Every operation that changes state. Each locks, checks, writes, records one event and commits."""

from .ingest import IngestResult, SuggestionRow, ingest_suggestions
from .suggestions import approve_suggestion, create_suggestion, reject_suggestion
from .tasks import claim_next_task, complete_task, create_task

__all__ = [
    "IngestResult",
    "SuggestionRow",
    "approve_suggestion",
    "claim_next_task",
    "complete_task",
    "create_suggestion",
    "create_task",
    "ingest_suggestions",
    "reject_suggestion",
]
