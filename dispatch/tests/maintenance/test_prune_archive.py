"""The archive's folder: complete files, none ever changed, nothing left of a failure."""

import gzip
import os
import resource
from contextlib import contextmanager

import pytest

from dispatch.exceptions import Refusal
from dispatch.maintenance.archive import Archive


@pytest.fixture
def archive(tmp_path):
    return Archive(str(tmp_path))


def files(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_batch_is_one_private_gzip_file_of_lines(archive, tmp_path):
    archive.write("tasks-1-2", [b"1", b"2"])

    (path,) = tmp_path.iterdir()
    assert path.name == "tasks-1-2.jsonl.gz"
    assert gzip.decompress(path.read_bytes()) == b"1\n2\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_writing_the_same_batch_again_changes_nothing(archive, tmp_path):
    archive.write("tasks-1-2", [b"1", b"2"])
    before = (tmp_path / "tasks-1-2.jsonl.gz").stat()

    archive.write("tasks-1-2", [b"1", b"2"])

    assert files(tmp_path) == ["tasks-1-2.jsonl.gz"]
    after = (tmp_path / "tasks-1-2.jsonl.gz").stat()
    # Comparing the contents reads the file, which may change its time of access.
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_batch_of_the_same_name_gets_a_number(archive, tmp_path):
    for content in (b"1", b"other", b"third", b"other"):
        archive.write("tasks-1-2", [content])

    names = ["tasks-1-2.2.jsonl.gz", "tasks-1-2.3.jsonl.gz", "tasks-1-2.jsonl.gz"]
    assert files(tmp_path) == names
    contents = [gzip.decompress((tmp_path / name).read_bytes()) for name in names]
    assert contents == [b"other\n", b"third\n", b"1\n"]


def make_symlink(path):
    path.symlink_to("/dev/null")


def make_dangling_symlink(path):
    path.symlink_to(path.with_name("absent"))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, make_symlink, make_dangling_symlink])
def test_archive_never_replaces_a_folder_or_link(archive, tmp_path, make):
    make(tmp_path / "tasks-1-2.jsonl.gz")
    before = (tmp_path / "tasks-1-2.jsonl.gz").lstat()

    archive.write("tasks-1-2", [b"1"])

    assert (tmp_path / "tasks-1-2.jsonl.gz").lstat() == before
    assert gzip.decompress((tmp_path / "tasks-1-2.2.jsonl.gz").read_bytes()) == b"1\n"
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("make", [None, os.mkfifo, make_symlink, make_dangling_symlink, open])
def test_only_an_existing_folder_is_taken(tmp_path, make):
    path = tmp_path / "archive"
    if make is open:
        path.write_text("My notes")
    elif make:
        make(path)

    with pytest.raises(Refusal, match=f"{path}: not an existing folder"):
        Archive(str(path))


@contextmanager
def files_of_at_most(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_batch_that_does_not_fit_on_the_disk_leaves_nothing(archive, tmp_path):
    with files_of_at_most(10), pytest.raises(Refusal, match=f"{tmp_path}: File too large"):
        archive.write("tasks-1-2", [b"1"])

    assert files(tmp_path) == []


@pytest.mark.parametrize("failing_sync", [1, 2], ids=["of the file", "of the folder"])
def test_a_batch_that_the_disk_does_not_confirm_is_refused(archive, monkeypatch, failing_sync):
    syncs = []

    def fail(descriptor):
        syncs.append(descriptor)
        if len(syncs) == failing_sync:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)

    with pytest.raises(Refusal, match="Input/output error"):
        archive.write("tasks-1-2", [b"1"])


def test_a_name_appears_only_when_its_file_is_complete_and_synced(archive, tmp_path, monkeypatch):
    seen = []
    fsync = os.fsync

    def watch(descriptor):
        seen.append([file.suffix for file in tmp_path.iterdir()])
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", watch)
    archive.write("tasks-1-2", [b"1"])

    assert seen == [[".part"], [".gz"]]
