"""Lines that are written are whole, and counted when something ends the program between them."""

from pathlib import Path

import pytest

from nmt.cli.lines import line_output


def _write_and_stop(path: Path | None) -> None:
    with line_output(path) as write:
        write("eins")
        write("zwei")
        raise KeyboardInterrupt


def test_what_ends_the_output_is_told_how_many_lines_there_are(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    for path, note in ((None, "2 lines written"), (tmp_path / "out", "out.part keeps 2 whole lines")):
        with pytest.raises(KeyboardInterrupt) as ended:
            _write_and_stop(path)
        assert ended.value.__notes__ == [note]
    assert (tmp_path / "out.part").read_bytes() == b"eins\nzwei\n"
    assert not (tmp_path / "out").exists()
    assert capfdbinary.readouterr().err == b""
