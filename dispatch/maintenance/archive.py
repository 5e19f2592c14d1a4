"""A file that is only ever appended to: JSON lines in gzip, one gzip member a batch.

A batch is in it whole or not at all. What a killed writer left behind its last whole member is cut
off when the file is next opened. No database here.
"""

import fcntl
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from ..exceptions import Refusal

# RFC 1952, with a file name that tells our members from everybody else's.
HEADER = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff" + b"baywheels-tasks.jsonl\0"
GZIP, RAW_DEFLATE = 31, -15
CHUNK = 1 << 18


class Archive:
    """`last`: the lines of the last member."""

    def __init__(self, name: str, file: FileIO) -> None:
        self.name = name
        self.file = file
        self.last: list[bytes] = []
        self.start_of_last = self.end = 0
        self._read_through()

    def append(self, lines: list[bytes]) -> None:
        """When it returns, they are on the disk and were read back from it.

        Refusal: they are not, and the file is as it was.
        """
        content = b"".join(line + b"\n" for line in lines)
        try:
            with naming(self.name):
                self._write(to_member(content))
                end = self._read_back(content)
        except Refusal:
            # If this fails too, the next one to open it does it.
            with suppress(OSError):
                self.file.truncate(self.end)
            raise
        self.last, self.start_of_last, self.end = lines, self.end, end

    def drop_last(self) -> None:
        with naming(self.name):
            self.file.truncate(self.start_of_last)
            os.fsync(self.file)
        self.last, self.end = [], self.start_of_last

    def _write(self, data: bytes) -> None:
        self.file.seek(self.end)
        rest = memoryview(data)
        while rest:
            rest = rest[self.file.write(rest) :]
        os.fsync(self.file)
        if hasattr(os, "posix_fadvise"):
            # Forget it in memory, so that it is read back from the disk.
            os.posix_fadvise(self.file.fileno(), self.end, len(data), os.POSIX_FADV_DONTNEED)

    def _read_back(self, content: bytes) -> int:
        """Where it ends."""
        member = self._read_member(self.end)
        if member is None or member[0] != content:
            raise Refusal(f"{self.name}: what was written does not read back the same.")
        return member[1]

    def _read_through(self) -> None:
        size = os.fstat(self.file.fileno()).st_size
        while self.end < size:
            member = self._read_member(self.end)
            if member is None:
                self._cut_off_torn_member()
                return
            content, end = member
            self.last = content.splitlines()
            self.start_of_last, self.end = self.end, end

    def _cut_off_torn_member(self) -> None:
        with mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) as everything:
            if everything.find(HEADER, self.end + 1) != -1:
                # A writer was never killed in its middle: others follow.
                raise self._damaged()
        self.file.truncate(self.end)

    def _read_member(self, start: int) -> tuple[bytes, int] | None:
        """Its content and where it ends. None: the file ends before it does."""
        self.file.seek(start)
        chunk = self.file.read(len(HEADER))
        if not HEADER.startswith(chunk):
            raise Refusal(
                f"{self.name}: not written by prune, from byte {start:,} on: give another file."
            )
        inflate, parts = zlib.decompressobj(GZIP), []
        while chunk:
            try:
                parts.append(inflate.decompress(chunk))
            except zlib.error as error:
                raise self._damaged() from error
            if inflate.eof:
                return b"".join(parts), self.file.tell() - len(inflate.unused_data)
            chunk = self.file.read(CHUNK)
        return None

    def _damaged(self) -> Refusal:
        return Refusal(f"{self.name}: damaged, from byte {self.end:,} on: give another file.")


def to_member(content: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=RAW_DEFLATE)
    body = deflate.compress(content) + deflate.flush()
    return HEADER + body + struct.pack("<LL", zlib.crc32(content), len(content))


@contextmanager
def naming(name: str) -> Iterator[None]:
    """An operating system's error as one line that says which file."""
    try:
        yield
    except OSError as error:
        raise Refusal(f"{name}: {error.strerror or error}.") from error


@contextmanager
def open_archive(name: str) -> Iterator[Archive]:
    """Made if there is none. Refusal: another process has it open, or it is no sound archive."""
    with naming(name):
        file = FileIO(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    with file:
        with naming(name):
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refusal(f"{name}: not a plain file.")
            lock(name, file)
            sync_folder(Path(name).parent)
            archive = Archive(name, file)
        yield archive


def lock(name: str, file: FileIO) -> None:
    """Until the file is closed, by whatever end."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refusal(f"{name}: another prune writes to it now.") from error


def sync_folder(folder: Path) -> None:
    """Else a new file may be gone after a power cut, however well its content was synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
