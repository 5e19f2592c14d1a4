"""Recognises a file by its first bytes, not by its name."""

from pathlib import Path

from ..exceptions import Refusal

HEAD = 8_192
STDIN = "-"
FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", STDIN: "jsonl"}

AS_UTF8 = "save it as UTF-8"
DECOMPRESS = "decompress it first"
AS_TEXT = "write JSON Lines or CSV instead"
WORKBOOK = "an Excel workbook", "save it as CSV UTF-8"
SIGNATURES = {
    b"\x1f\x8b": ("compressed with gzip", DECOMPRESS),
    b"BZh": ("compressed with bzip2", DECOMPRESS),
    b"\xfd7zXZ\0": ("compressed with xz", DECOMPRESS),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", DECOMPRESS),
    b"PAR1": ("a Parquet file", AS_TEXT),
    b"ARROW1": ("an Arrow file", AS_TEXT),
    b"FEA1": ("a Feather file", AS_TEXT),
    b"\x80\x04\x95": ("a Python pickle", AS_TEXT),
    b"\x80\x05\x95": ("a Python pickle", AS_TEXT),
    b"SQLite format 3\0": ("an SQLite database", AS_TEXT),
    b"\xd0\xcf\x11\xe0": WORKBOOK,
    b"\xff\xfe\0\0": ("UTF-32 text", AS_UTF8),
    b"\0\0\xfe\xff": ("UTF-32 text", AS_UTF8),
    b"\xff\xfe": ("UTF-16 text", AS_UTF8),
    b"\xfe\xff": ("UTF-16 text", AS_UTF8),
}
# Excel reads the separator from such a first line.
SEPARATOR_LINE = b"sep="
ZIP = b"PK\x03\x04"
WORKBOOK_PARTS = (b"[Content_Types].xml", b"xl/")
ARCHIVE = "a ZIP archive", "unpack it first"
TEXT_STARTS = {
    b"[": ("a JSON array", "write one object a line, for example with jq -c '.[]'"),
    b"<": ("HTML or XML, perhaps an error page", AS_TEXT),
}
BINARY = "UTF-16 or binary data", AS_UTF8
OLD_MAC = "text whose lines end with CR alone", "save it with LF or CRLF"


def find_format(name: str, head: bytes, chosen: str | None) -> str:
    """Refusal: the file is of a kind that is not read, or its format is unclear."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if recognised := unreadable(head, text):
        kind, remedy = recognised
        raise Refusal(f"{shown(name)} is {kind}: {remedy}.")
    if chosen:
        return chosen
    if text.startswith(b"{"):
        return "jsonl"
    if text.startswith(SEPARATOR_LINE) or b"from_station_id" in text.partition(b"\n")[0]:
        return "csv"
    suffix = name if name == STDIN else Path(name).suffix.lower()
    if suffix not in FORMATS:
        raise Refusal(f"{name}: unknown format; add --format jsonl or --format csv.")
    return FORMATS[suffix]


def unreadable(head: bytes, text: bytes) -> tuple[str, str] | None:
    """Return the kind of the file with advice. None: it may be JSON Lines or CSV."""
    if head.startswith(ZIP):
        return WORKBOOK if any(part in head for part in WORKBOOK_PARTS) else ARCHIVE
    for signature, recognised in SIGNATURES.items():
        if head.startswith(signature):
            return recognised
    for start, recognised in TEXT_STARTS.items():
        if text.startswith(start):
            return recognised
    if b"\0" in head[:4]:
        return BINARY
    if b"\r" in text.rstrip() and b"\n" not in head:
        return OLD_MAC
    return None


def shown(name: str) -> str:
    return "Standard input" if name == STDIN else name
