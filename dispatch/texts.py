"""Names in any script: the characters that they may have, and how to place them in a sentence."""

from unicodedata import bidirectional, category

from django.core.exceptions import ValidationError

# Zero-width (non-)joiner. Persian, Indic names and composed emoji need them, but beside a Latin
# letter they are invisible: two crews' names would look the same.
JOINERS = "\u200c\u200d"
JOINED = ("Lo", "Mn", "Mc", "So", "Sk")
RIGHT_TO_LEFT = ("R", "AL", "AN")
FIRST_STRONG_ISOLATE, POP_DIRECTIONAL_ISOLATE = "\u2068", "\u2069"


def printable(text: str, instead: str = "") -> str:
    """Return the text with each character that does not belong on a line replaced.

    These are controls, line breaks, bidirectional embeddings and overrides, lone surrogates, and
    joiners with nothing to join.
    """
    pairs = zip(" " + text, text, strict=False)
    return "".join(char if belongs(char, before) else instead for before, char in pairs)


def belongs(char: str, before: str) -> bool:
    if char in JOINERS:
        return not before.isascii() and category(before) in JOINED
    return char.isprintable()


def is_printable(text: str) -> bool:
    return text.isprintable() or printable(text) == text


def validate_single_line(text: str) -> None:
    if not is_printable(text):
        raise ValidationError("Enter a single line of printable characters.")


def isolated(text: str) -> str:
    """Return the text so that its direction does not reorder the sentence around it.

    For plain text: sentences, tooltips, labels for screen readers. Markup uses <bdi>. A text
    without right-to-left characters needs no isolation and stays as it is.
    """
    if any(bidirectional(char) in RIGHT_TO_LEFT for char in text):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_DIRECTIONAL_ISOLATE}"
    return text
