from .suggestions import SuggestionAdmin
from .tasks import TaskAdmin
from .users import UserAdmin

__all__ = ["SuggestionAdmin", "TaskAdmin", "UserAdmin"]
