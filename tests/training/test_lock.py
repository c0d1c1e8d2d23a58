"""One process at a time in a folder; who only looks whether one is there keeps nobody out."""

import pytest

from nmt.errors import OutputError
from nmt.training import lock
from nmt.training.lock import LOCK, is_locked, locked

fcntl = pytest.importorskip("fcntl")


def test_a_folder_is_one_process_alone(tmp_path) -> None:
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(OutputError, match=r"locked by pid \d+ on host .*; wait for it, or give another"):
            locked(tmp_path).__enter__()
    assert not is_locked(tmp_path)


def test_a_look_keeps_nobody_out(tmp_path, monkeypatch) -> None:
    """`is_locked` holds the lock for an instant, here for a longer one."""
    with (tmp_path / LOCK).open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(lock.time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with locked(tmp_path):
            assert is_locked(tmp_path)


def test_a_folder_that_stays_empty_is_removed_with_those_made_for_it(tmp_path) -> None:
    with locked(tmp_path / "a" / "b"):
        pass
    assert not (tmp_path / "a").exists()
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()
