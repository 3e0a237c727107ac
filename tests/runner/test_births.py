"""Finds the files that a run made: by birth times, by the clock where timestamps are coarse, and
without birth times.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from cog.internal.runtime import births
from cog.internal.runtime.births import Births


@pytest.fixture
def temporary(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The temporary directory of the model."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture
def without_births(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pathlib.Path]:
    """A temporary directory on a file system without birth times."""
    path = tmp_path_factory.mktemp("ramfs")
    if os.system(f"mount -t ramfs ramfs {path}") != 0:
        pytest.skip("only root can mount a file system without birth times")
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield path
    os.system(f"umount {path}")


def write(path: pathlib.Path) -> str:
    path.write_text("text")
    return str(path)


def made(known: Births, path: str, began: births.Beginning) -> bool:
    return known.made(path, os.stat(path), began)


@pytest.mark.parametrize("exact", [True, False])
def test_files_made_right_before_and_right_after_the_start_are_told_apart(
    temporary: pathlib.Path, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    if not exact:  # as before Linux 6.13
        monkeypatch.setattr(births, "_memfd", None)
    known = Births()
    for i in range(100):
        old = write(temporary / f"old-{i}")
        began = known.begin({}, True)
        known.wait(began)
        new = write(temporary / f"new-{i}")
        write(pathlib.Path(old))
        assert (made(known, old, began), made(known, new, began)) == (False, True)
        known.end(began, [])


def test_a_marker_that_the_model_has_closed_is_made_again(temporary: pathlib.Path) -> None:
    known = Births()
    known.end(known.begin({}, True), [])
    for link in pathlib.Path("/proc/self/fd").iterdir():
        if "cog-births" in os.path.realpath(link):
            os.close(int(link.name))
    mine = os.open(write(temporary / "mine"), os.O_RDONLY)  # may have its inode number
    stamps = os.stat(mine).st_mtime_ns
    began = known.begin({}, True)
    known.wait(began)
    assert made(known, write(temporary / "new"), began) and not made(
        known, str(temporary / "mine"), began
    )
    assert os.stat(mine).st_mtime_ns == stamps
    os.close(mine)


def test_without_birth_times_files_with_older_names_and_contents_are_kept(
    without_births: pathlib.Path,
) -> None:
    if births.birth(str(without_births)) is not None:
        pytest.skip("this kernel has birth times on every file system")
    known = Births()
    (without_births / "directory").mkdir()
    old = [write(without_births / "old"), write(without_births / "directory" / "old")]
    moved = write(without_births / "to be moved")
    os.utime(moved, (1, 1))
    began = known.begin({}, True)
    known.wait(began)
    for path in old:
        write(pathlib.Path(path))
    shutil.move(moved, without_births / "moved")
    (without_births / "new directory").mkdir()
    new = [write(without_births / "new"), write(without_births / "new directory" / "new")]
    assert [made(known, path, began) for path in (*old, str(without_births / "moved"), *new)] == [
        False
    ] * 3 + [True] * 2


def test_an_input_file_belongs_to_the_run_even_when_moved(
    temporary: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    given = write(tmp_path_factory.mktemp("inputs") / "given")
    known = Births()
    began = known.begin({"/path": given, "/gone": "/nowhere"}, True)
    os.rename(given, temporary / "moved")
    assert made(known, str(temporary / "moved"), began)
    assert not made(known, write(tmp_path_factory.mktemp("elsewhere") / "new"), began)


def test_a_file_is_removed_once_the_server_has_it_and_no_run_can_return_it(
    temporary: pathlib.Path,
) -> None:
    known = Births()
    first, second = known.begin({}, True), known.begin({}, True)
    path = write(temporary / "shared")
    taken = []
    assert known.shared(path)
    known.end(first, [(path, lambda: bool(taken))])
    third = known.begin({}, True)  # is not related to it
    known.end(second, [])
    assert os.path.exists(path) and known.shared(path), "the server does not have it yet"
    taken.append(True)
    known.end(third, [])
    assert not os.path.exists(path) and not known.shared(path)


def test_a_file_that_was_rewritten_belongs_to_the_later_run(temporary: pathlib.Path) -> None:
    known = Births()
    first, second = known.begin({}, True), known.begin({}, True)
    kept, gone = write(temporary / "kept"), write(temporary / "gone")
    known.end(first, [(kept, lambda: True), (gone, lambda: True)])
    os.utime(kept)
    os.unlink(gone)
    known.end(second, [])
    assert os.path.exists(kept)


def test_remaining_files_are_removed_at_the_end(temporary: pathlib.Path) -> None:
    known = Births()
    path = write(temporary / "left")
    known.end(known.begin({}, True), [(path, lambda: False)])
    known.close()
    assert not os.path.exists(path)


def test_files_next_to_a_model_in_the_temporary_directory_are_kept(
    temporary: pathlib.Path,
) -> None:
    model = temporary / "model"
    (model / "deep").mkdir(parents=True)
    known = Births(str(model))
    began = known.begin({}, True)
    known.wait(began)
    files = [
        model / "out.txt",
        model / "deep" / "out.txt",
        temporary / "out.txt",
        temporary / "model.txt",
    ]
    assert [made(known, write(path), began) for path in files] == [False, False, True, True]


def test_a_temporary_directory_below_the_model_directory_counts(temporary: pathlib.Path) -> None:
    known = Births(str(temporary.parent))
    began = known.begin({}, True)
    known.wait(began)
    assert made(known, write(temporary / "out.txt"), began)
