"""The archive's file by itself: whole members, one writer, nothing foreign, no torn end."""

import gzip
import resource
from contextlib import contextmanager

import pytest

from dispatch.exceptions import Refusal
from dispatch.maintenance.archive import HEADER, Archive, open_archive, to_member


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tasks.jsonl.gz"


def append(path, *batches):
    with open_archive(str(path)) as archive:
        for batch in batches:
            archive.append(batch)


def lines(path):
    with gzip.open(path) as file:
        return file.read().splitlines()


def test_batches_follow_each_other_and_any_gzip_reader_reads_them(path):
    append(path, [b"1", b"2"], [b"3"])
    append(path, [b"4"])

    assert lines(path) == [b"1", b"2", b"3", b"4"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_knows_its_last_batch_and_can_take_it_out_again(path):
    append(path, [b"1", b"2"], [b"3", b"4"])

    with open_archive(str(path)) as archive:
        assert archive.last == [b"3", b"4"]
        archive.drop_last()
        assert archive.last == []
        archive.append([b"5"])

    assert lines(path) == [b"1", b"2", b"5"]


def test_a_batch_that_is_torn_anywhere_is_cut_off(path):
    append(path, [b"1", b"2"])
    whole = path.read_bytes()
    torn = to_member(b'{"id": 3}\n' * 3)

    for length in range(len(torn)):
        path.write_bytes(whole + torn[:length])
        with open_archive(str(path)) as archive:
            assert archive.last == [b"1", b"2"]
        assert path.read_bytes() == whole


def test_a_file_that_is_torn_in_its_first_batch_is_empty(path):
    path.write_bytes(to_member(b"1\n")[:-1])

    append(path, [b"2"])

    assert lines(path) == [b"2"]


def damaged_in_the_middle(whole):
    """The first member seems to go on beyond the file's end, as if it were torn."""
    # A stored block of 65,535 bytes, most of which the file does not have.
    return HEADER + b"\x00\xff\xff\x00\x00" + whole


WHOLE = to_member(b'{"id": 1}\n' * 10 + b'{"note": "%s"}\n' % (b"ab" * 30))
FOREIGN = {
    "text": (b"Not an archive at all\n", "not written by prune, from byte 0"),
    "a short text": (b"Hi", "not written by prune, from byte 0"),
    "gzip of another program": (gzip.compress(b"1\n"), "not written by prune, from byte 0"),
    "torn gzip of another program": (gzip.compress(b"1\n")[:-3], "not written by prune"),
    "something behind our own": (WHOLE + b"more", f"not written by prune, from byte {len(WHOLE)}"),
    "zeros behind our own": (WHOLE + bytes(512), f"not written by prune, from byte {len(WHOLE)}"),
    "a flipped bit": (WHOLE[:-6] + b"\xff" + WHOLE[-5:], "damaged, from byte 0"),
    # A stored block of 65,535 bytes, most of which are not there: it looks torn, but others follow.
    "damaged in the middle": (HEADER + b"\x00\xff\xff\x00\x00" + WHOLE, "damaged, from byte 0"),
}


@pytest.mark.parametrize(("content", "refusal"), FOREIGN.values(), ids=FOREIGN.keys())
def test_a_file_that_is_not_a_sound_archive_is_refused_and_left_alone(path, content, refusal):
    path.write_bytes(content)

    with pytest.raises(Refusal, match=refusal) as refused:
        append(path, [b"2"])

    assert str(path) in str(refused.value)
    assert path.read_bytes() == content


def test_only_one_writes_to_a_file(path):
    another = pytest.raises(Refusal, match="another prune writes to it now")
    with open_archive(str(path)), another:
        append(path, [b"1"])

    append(path, [b"2"])
    assert lines(path) == [b"2"]


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(Refusal, match=r"absent/tasks\.gz: No such file or directory"):
        append(tmp_path / "absent" / "tasks.gz")
    with pytest.raises(Refusal, match="Is a directory"):
        append(tmp_path)
    with pytest.raises(Refusal, match="/dev/null: not a plain file"):
        append("/dev/null")


@contextmanager
def files_of_at_most(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_batch_for_which_there_is_no_room_leaves_the_file_as_it_was(path):
    append(path, [b"1"])
    size = path.stat().st_size

    with open_archive(str(path)) as archive:
        with files_of_at_most(size + 10), pytest.raises(Refusal, match=f"{path}: File too large"):
            archive.append([b"2"])
        assert path.stat().st_size == size
        archive.append([b"3"])

    assert lines(path) == [b"1", b"3"]


def test_a_batch_that_does_not_read_back_the_same_is_refused(path, monkeypatch):
    append(path, [b"1"])
    write = Archive._write

    def write_something_else(archive, data):
        write(archive, to_member(b"other\n"))

    monkeypatch.setattr(Archive, "_write", write_something_else)

    with pytest.raises(Refusal, match="does not read back the same"):
        append(path, [b"2"])

    assert lines(path) == [b"1"]


def test_a_batch_that_the_disk_does_not_confirm_is_refused(path, monkeypatch):
    append(path, [b"1"])

    def fail(file):
        raise OSError(5, "Input/output error")

    with open_archive(str(path)) as archive:
        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(Refusal, match="Input/output error"):
            archive.append([b"2"])

    assert lines(path) == [b"1"]
