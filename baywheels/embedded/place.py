"""The folder of a cluster's files, and their owner."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from .errors import DevDbError

DATABASE = "baywheels"
USER = "postgres"
PORT = 5432
# macOS allows 104 bytes for the path of a socket, Linux 108.
LONGEST_SOCKET_PATH = 90


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "log"

    @property
    def socket_dir(self) -> Path:
        path = os.fsencode(self.folder)
        # libpq takes a comma for a separator of two hosts.
        if len(path) + len(f"/.s.PGSQL.{PORT}") <= LONGEST_SOCKET_PATH and b"," not in path:
            return self.folder
        # A predictable name under /tmp is safe: check_socket_dir refuses another user's folder.
        return Path(f"/tmp/baywheels-{self.owner()[0]}-{hashlib.sha256(path).hexdigest()[:12]}")

    @property
    def socket(self) -> Path:
        return self.socket_dir / f".s.PGSQL.{PORT}"

    @property
    def url(self) -> str:
        """The address for psql, drivers and DATABASE_URL. The server need not be running."""
        return self.url_for(USER)

    def url_for(self, user: str) -> str:
        """Without an empty host before the port, which asyncpg and node-postgres cannot read."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql:///{DATABASE}?host={host}&user={user}"

    def owner(self) -> tuple[int, int]:
        """The owner's user and group id: in a user's folder, root acts as that user."""
        if os.geteuid() == 0 and self.folder.exists():
            found = self.folder.stat()
            return found.st_uid, found.st_gid
        return os.geteuid(), os.getegid()

    def make_socket_dir(self) -> None:
        directory = self.socket_dir
        if directory != self.folder and not os.path.lexists(directory):
            directory.mkdir(mode=0o700)
            os.chown(directory, *self.owner())
        self.check_socket_dir()

    def check_socket_dir(self) -> None:
        """Refuse a folder that another user may have created in place of ours."""
        directory = self.socket_dir
        if directory == self.folder or not os.path.lexists(directory):
            return
        found = directory.lstat()
        if found.st_uid != self.owner()[0] or found.st_mode != 0o040700:
            raise DevDbError(
                f"{directory} is not a private folder of yours: remove it, or set DEVDB_DIR to "
                f"a folder with a short path."
            )
