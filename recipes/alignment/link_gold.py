"""Links of a setting's gold pairs by a model, on the tokens of the gold.

python recipes/alignment/link_gold.py MODEL SETTING_DIR --from head -o head.links

Where these tokens are those of the text, everywhere but in Kyoto, the file is the same as that of
nmt align -m MODEL SETTING_DIR/gold.SRC SETTING_DIR/gold.TGT --tokens space --from head
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from settings import Setting, open_settings

from nmt.alignment import align_pairs
from nmt.checkpoint import TranslationModel, load_model
from nmt.config.schema import LinksFrom
from nmt.corpus.links import Links
from nmt.errors import NmtError


def gold_links(
    model: TranslationModel, setting: Setting, links_from: LinksFrom, threshold: float = 0.0
) -> Iterator[Links]:
    """Links of every gold pair."""
    pairs = setting.gold_pairs()
    found = align_pairs(model, [(pair.source, pair.target) for pair in pairs], links_from=links_from)
    for alignment, pair in zip(found, pairs, strict=True):
        yield set(alignment.words(pair.tokens, threshold).links)


def main() -> None:
    """Write a line of Pharaoh for each gold pair."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("setting", type=Path, help="a folder that prepare.py has written")
    parser.add_argument("--from", dest="links_from", choices=("attention", "head", "hmm"), default="head")
    parser.add_argument("--threshold", type=float, default=0.0, help="0: that of the model")
    parser.add_argument("-o", "--output", help="NAME.links in that folder (default: --from's)")
    arguments = parser.parse_args()
    name = (arguments.output or arguments.links_from).removesuffix(".links")
    try:
        [setting] = open_settings(arguments.setting.parent, [arguments.setting.name])
        model = load_model(arguments.model, threads=1)
        setting.write_links(name, gold_links(model, setting, arguments.links_from, arguments.threshold))
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
