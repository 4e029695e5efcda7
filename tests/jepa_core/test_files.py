"""Writing and removing harms nothing but what it is about, whoever else is at work."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from jepa_core.errors import RunError
from jepa_core.io.files import disk_errors, real_path, remove_folder, take_space, write_atomically
from jepa_core.io.locks import locked, locked_in_turn
from jepa_core.runs.run_list import list_runs, run_seconds


def write_often(path: Path, sign: bytes) -> None:
    for _ in range(50):
        write_atomically(path, sign * 5000)


def test_two_that_write_one_file_at_once_leave_a_whole_one_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.starmap(write_often, [(path, b"a"), (path, b"b")])
    assert path.read_bytes() in (b"a" * 5000, b"b" * 5000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_link_in_place_of_a_file_or_of_what_is_to_become_it_is_not_followed(tmp_path: Path) -> None:
    (precious := tmp_path / "precious").write_text("keep")
    path = tmp_path / "report.html"
    for link in (path, tmp_path / f".report.html.{os.getpid()}.partial"):
        link.symlink_to(precious)
        write_atomically(path, b"new")
        assert precious.read_text() == "keep" and path.read_bytes() == b"new" and not path.is_symlink()


@pytest.mark.parametrize("taking", [locked, locked_in_turn])
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_with_what_to_do(
    number: int, taking: Callable[[Path, str], AbstractContextManager[None]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def refuse(file: object, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    told = "run/.lock: the file system there has no locks.*nolock"
    with pytest.raises(RunError, match=told), taking(tmp_path / "run" / ".lock", "busy"):
        raise AssertionError("nobody holds it")


def test_space_is_taken_before_a_map_is_written_where_the_system_can_do_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "rows").open("w+b") as file:
        take_space(file.fileno(), 4096, 8192)
        taken = os.fstat(file.fileno())
        assert taken.st_size in (0, 12288), "a system that takes no space beforehand leaves the file as it was"
        take_space(file.fileno(), 0, 0)
        for number, passes in ((errno.EOPNOTSUPP, True), (errno.ENOSPC, False)):

            def refuse(descriptor: int, begin: int, length: int, number: int = number) -> None:
                raise OSError(number, os.strerror(number))

            monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
            with nullcontext() if passes else pytest.raises(RunError, match="the disk is full"), disk_errors(tmp_path):
                take_space(file.fileno(), 0, 4096)


def test_a_lock_that_is_a_link_does_not_empty_what_it_links_to(tmp_path: Path) -> None:
    (precious := tmp_path / "precious").write_text("keep")
    (tmp_path / ".lock").symlink_to(precious)
    with locked(tmp_path / ".lock", "busy"):
        assert precious.read_text() == "keep"


def test_of_a_link_to_a_folder_the_link_alone_is_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").write_text("keep")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for _ in range(2):
        remove_folder(tmp_path / "link")
    assert (tmp_path / "folder" / "precious").read_text() == "keep" and not (tmp_path / "link").exists()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: Path(path).symlink_to("nowhere")], ids=["pipe", "link"])
def test_a_run_with_what_is_no_file_is_listed_as_damaged_and_hides_no_other(
    tmp_path: Path, make: Callable[[str], None]
) -> None:
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    make(str(tmp_path / "bad" / "strange"))
    assert {run["name"]: run["status"] for run in list_runs(tmp_path)} == {"bad": "damaged", "good": "stopped"}


def test_a_run_that_ended_before_it_began_lists_no_time() -> None:
    began, later = "2026-03-01T10:00:00+00:00", "2026-03-01T10:01:00+00:00"
    assert run_seconds({"started": began, "ended": later}) == 60
    assert run_seconds({"started": later, "ended": began}) is None, "the clock was set back"


def test_a_link_to_itself_is_a_path_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert real_path(tmp_path / "loop").name == "loop"


def test_an_error_of_the_system_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told:
        write_atomically(tmp_path / "gone" / "report.html", b"")
    assert told.value.filename == str(tmp_path / "gone" / "report.html")
