"""A folder of gzip files of JSON lines, one file for each batch. No file is ever changed."""

import gzip
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile

from ..exceptions import Refusal, os_errors_as_refusals


class Archive:
    """Refusal: `folder` is not an existing folder."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise Refusal(f"{folder}: not an existing folder.")

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """Return once `name`.jsonl.gz is complete and on the disk.

        If a file of that name holds something else, the new one is `name`.2, `name`.3 and so on.
        Refusal: the batch could not be written; nothing of it remains.
        """
        # Without a timestamp, so that the same batch is the same file.
        content = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
        with os_errors_as_refusals(str(self.folder)):
            with NamedTemporaryFile(dir=self.folder, prefix=f"{name}.", suffix=".part") as part:
                part.write(content)
                part.flush()
                os.fsync(part.fileno())
                self._publish(Path(part.name), name, content)
            sync_folder(self.folder)

    def _publish(self, part: Path, name: str, content: bytes) -> None:
        for number in count(1):
            target = self.folder / f"{name}{f'.{number}' if number > 1 else ''}.jsonl.gz"
            try:
                # Unlike a rename, a link never replaces a file.
                os.link(part, target)
            except FileExistsError:
                if holds(target, content):
                    return
            else:
                return


def holds(path: Path, content: bytes) -> bool:
    is_plain = path.is_file() and not path.is_symlink()
    return is_plain and path.read_bytes() == content


def sync_folder(folder: Path) -> None:
    """Without it, a power cut may lose a new file's name even though its content was synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
