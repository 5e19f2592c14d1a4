"""Tables for terminals and spreadsheets."""

from collections.abc import Iterable, Iterator, Sequence


def aligned(rows: Iterable[Sequence[str]], sides: str) -> Iterator[str]:
    """Yield each row as a line. `sides` has `<` or `>` for each column: left or right."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet does not run as a formula, for CSV."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
