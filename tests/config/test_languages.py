"""Languages are told by the endings of files only where they are codes and differ."""

import pytest

from nmt.config import DataConfig
from nmt.config.languages import UNKNOWN, file_languages


@pytest.mark.parametrize(
    ("src", "tgt", "expected"),
    [
        (("a/train.de", "more.de.gz"), ("a/train.en", "more.en.xz"), ("de", "en")),
        (("train.zh-Hans",), ("train.pt_BR.zst",), ("zh-Hans", "pt_BR")),
        (("train.de", "more.nl"), ("train.en", "more.en"), UNKNOWN),
        (("source.txt",), ("target.txt",), UNKNOWN),
        (("source",), ("target.text",), UNKNOWN),
        ((), (), UNKNOWN),
    ],
)
def test_languages_of_files(src: tuple[str, ...], tgt: tuple[str, ...], expected: tuple[str, str]) -> None:
    assert file_languages(src, tgt) == expected
    assert DataConfig(src=src, tgt=tgt, src_lang="aa").languages == ("aa", expected[1])
