import queue
from collections.abc import Callable, Iterable, Iterator

import pytest

from nmt.decoding.windows import MOST_CHARACTERS, arrived_windows, full_windows


@pytest.mark.parametrize("windows_of", [full_windows, arrived_windows])
@pytest.mark.parametrize("num_lines", [0, 1, 6, 7, 700])
def test_every_line_comes_once_and_in_order(
    windows_of: Callable[[Iterable[str], int], Iterator[list[str]]], num_lines: int
) -> None:
    lines = [str(number) for number in range(num_lines)]
    windows = list(windows_of(iter(lines), 3))
    assert [line for window in windows for line in window] == lines
    assert all(1 <= len(window) <= 3 for window in windows)


def test_windows_of_a_file_are_full_and_no_more_is_read_than_asked_for() -> None:
    lines = iter(map(str, range(10)))
    windows = full_windows(lines, 4)
    assert next(windows) == ["0", "1", "2", "3"]
    assert next(lines) == "4"


def test_a_line_that_arrived_is_not_kept_waiting() -> None:
    written: queue.Queue[str] = queue.Queue()
    windows = arrived_windows(iter(written.get, "end"), 100)
    for line in ("one", "two", "three"):
        written.put(line)
        assert next(windows) == [line]  # the next line is written only after this answer
    written.put("end")
    assert list(windows) == []


def test_lines_that_arrived_meanwhile_come_together() -> None:
    written: queue.Queue[str] = queue.Queue()
    all_read: queue.Queue[bool] = queue.Queue()

    def lines() -> Iterator[str]:
        yield from iter(written.get, "pause")
        yield from ("a", "b", "c")
        all_read.put(True)
        yield from iter(written.get, "end")

    windows = arrived_windows(lines(), 100)
    written.put("first")
    assert next(windows) == ["first"]
    written.put("pause")
    all_read.get(timeout=10)
    assert next(windows) == ["a", "b", "c"]
    windows.close()
    written.put("end")


def test_reading_ahead_is_bounded() -> None:
    read: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(1000):
            read.append(number)
            yield str(number)

    windows = arrived_windows(lines(), 5)
    next(windows)
    next(windows)
    assert len(read) <= 2 * 5 + 5 + 1


@pytest.mark.parametrize("windows_of", [full_windows, arrived_windows])
def test_an_error_of_the_reader_comes_after_the_lines_before_it(
    windows_of: Callable[[Iterable[str], int], Iterator[list[str]]],
) -> None:
    def lines() -> Iterator[str]:
        yield "good"
        raise ValueError("bad line")

    windows = windows_of(lines(), 5)
    assert next(windows) == ["good"]
    with pytest.raises(ValueError, match="bad line"):
        next(windows)


@pytest.mark.parametrize("windows_of", [full_windows, arrived_windows])
def test_windows_of_very_long_lines_are_small(
    windows_of: Callable[[Iterable[str], int], Iterator[list[str]]],
) -> None:
    num_read = 0

    def lines() -> Iterator[str]:
        nonlocal num_read
        for _ in range(40):
            num_read += 1
            yield "x" * (MOST_CHARACTERS // 4)

    sizes = []
    for window in windows_of(lines(), 100):
        sizes.append(len(window))
        assert num_read <= sum(sizes) + 5  # four that wait, and one in the hand of who reads
    assert sum(sizes) == 40
    assert max(sizes) <= 4
