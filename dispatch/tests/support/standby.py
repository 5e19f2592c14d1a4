"""A hot standby that streams from an embedded cluster."""

import shlex
from contextlib import contextmanager

from baywheels.embedded.cluster import PORT, SETTINGS, USER
from baywheels.embedded.place import Place
from baywheels.embedded.programs import find_programs

from .log_secrets import watch


@contextmanager
def standby_of(cluster, folder):
    """Yield a hot standby's place and programs."""
    programs, place = find_programs(), Place(folder)
    folder.mkdir(mode=0o700)
    primary = ["-h", str(cluster.socket_dir), "-p", str(PORT), "-U", USER]
    copied = programs.run("pg_basebackup", *primary, "-R", "-D", str(place.data), place=place)
    assert copied.returncode == 0, copied.stderr
    place.make_socket_dir()
    server = ["-k", str(place.socket_dir), "-p", str(PORT)]
    options = shlex.join([*server, *(f"--{name}={value}" for name, value in SETTINGS.items())])
    started = programs.run("pg_ctl", "start", "-w", "-l", "log", "-o", options, place=place)
    assert started.returncode == 0, started.stderr
    try:
        yield place, programs
    finally:
        programs.run("pg_ctl", "stop", "-m", "immediate", place=place)
        watch.check((place.folder / "log").read_text(), "The standby")
