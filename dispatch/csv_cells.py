"""Text in CSV that people open in a spreadsheet."""


def safe_cell(text: str) -> str:
    """A spreadsheet would run what begins like a formula; behind an apostrophe it is text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
