"""Score a translation of Multi30k on two scales: as it stands, and as the literature does.

The literature on Multi30k (Wu et al., 2021, and after) scores lowercased text with normalised punctuation,
cut into words by Moses: `lowercase.perl | normalize-punctuation.perl -l L | tokenizer.perl -l L`. Numbers on
that scale lie above sacreBLEU's on the same translation. Never put the two into one column.

    python recipes/multi30k-en-de/paper_score.py HYP REF [REF...] [--language de]
"""

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from sacremoses import MosesPunctNormalizer, MosesTokenizer

from nmt.errors import NmtError
from nmt.evaluation import Score, Scoring, score
from nmt.files import check_counts, read_lines


def paper_normalizer(language: str) -> Callable[[str], str]:
    """A function that brings a raw line into the form the literature scores."""
    # perl_parity: the defaults of sacremoses mend two rules of the Perl script
    punctuation = MosesPunctNormalizer(language, perl_parity=True)
    tokenizer = MosesTokenizer(language)
    return lambda line: tokenizer.tokenize(punctuation.normalize(line.lower()), return_str=True)


def paper_score(hypotheses: list[str], references: list[list[str]], *, language: str) -> Score:
    """BLEU on normalised text, comparable with the literature on Multi30k."""
    normalize = paper_normalizer(language)
    texts = [[normalize(line) for line in lines] for lines in [hypotheses, *references]]
    bleu = score(texts[0], texts[1:], Scoring(tokenize="none"))[0]
    signature = f"text:lc+normpunct+moses.{language}|sacremoses:{version('sacremoses')}|{bleu.signature}"
    return Score("paper-BLEU", bleu.value, signature, bleu.detail)


def main() -> None:
    """Print both scores of the files on the command line."""
    parser = argparse.ArgumentParser(description="Score raw text on two scales.")
    parser.add_argument("hypothesis", type=Path, help="the translation, raw text")
    parser.add_argument("references", type=Path, nargs="+", help="reference translations, raw text")
    parser.add_argument("--language", default="de", help="language of the text, for the rules of Moses")
    arguments = parser.parse_args()
    paths = [arguments.hypothesis, *arguments.references]
    try:
        texts = [list(read_lines(path)) for path in paths]
        check_counts((str(path), len(lines)) for path, lines in zip(paths, texts, strict=True))
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    hypotheses, *references = texts
    scores = score(hypotheses, references, Scoring(metrics=("bleu", "chrf")))
    for each in [*scores, paper_score(hypotheses, references, language=arguments.language)]:
        print(f"{each.metric} {each.value:.2f} {each.signature}")


if __name__ == "__main__":
    main()
