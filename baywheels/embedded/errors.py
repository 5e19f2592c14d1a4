class DevDbError(Exception):
    """The embedded PostgreSQL cannot serve. The message is one line and names the remedy."""
