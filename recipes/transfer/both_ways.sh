#!/bin/sh
# One model for both directions beside a model for each, all of the same size, after the same time in all.
# usage: recipes/transfer/both_ways.sh DATA_DIR RUNS_DIR [SEED]
set -eu
D=$1/multi30k RUNS=$2 SEED=${3:-1}
mkdir -p "$RUNS"

train() { # NAME SRC TGT OPTION…
    run=$RUNS/$1-$SEED src=$2 tgt=$3; shift 3
    nmt train --src "$D/train.$src" --tgt "$D/train.$tgt" --dev-src "$D/val.$src" --dev-tgt "$D/val.$tgt" \
        --seed "$SEED" --threads 1 --set alignment.head=false "$@" --out "$run"
}

evaluate() { # NAME SRC TGT OPTION…
    run=$RUNS/$1-$SEED src=$2 tgt=$3; shift 3
    echo "$run, $src to $tgt:"
    nmt evaluate -q -m "$run" "$D/test2016.$src" "$D/test2016.$tgt" -o "$run.hyp.$tgt" "$@"
}

(train en-de en de --budget 15m; train de-en de en --budget 15m) &
train both en de --bidirectional --budget 30m
wait $!
for pair in "en de" "de en"; do
    set -- $pair
    evaluate "$1-$2" "$1" "$2"
    evaluate both "$1" "$2" --to "$2"
    nmt score "$RUNS/both-$SEED.hyp.$2" "$D/test2016.$2" --compare "$RUNS/$1-$2-$SEED.hyp.$2"
done
