#!/bin/sh
# 10,000 real pairs, and German text whose English is made by a model of the other direction, drawn or searched.
# usage: recipes/transfer/back_translation.sh DATA_DIR RUNS_DIR [SEED]
set -eu
D=$1/multi30k RUNS=$2 SEED=${3:-1}
mkdir -p "$RUNS"
for lang in de en; do head -10000 "$D/train.$lang" > "$RUNS/real.$lang"; done
tail -n +10001 "$D/train.de" > "$RUNS/mono.de"

train() { # NAME SRC TGT OPTION…
    run=$RUNS/$1-$SEED src=$2 tgt=$3; shift 3
    nmt train "$@" --dev-src "$D/val.$src" --dev-tgt "$D/val.$tgt" --seed "$SEED" --threads 1 --budget 15m \
        --set alignment.head=false --out "$run"
}

train back de en --src "$RUNS/real.de" --tgt "$RUNS/real.en" &
train real en de --src "$RUNS/real.en" --tgt "$RUNS/real.de"
wait $!
nmt backtranslate -m "$RUNS/back-$SEED" "$RUNS/mono.de" -o "$RUNS/drawn-$SEED" --sample 1 --tag
nmt backtranslate -m "$RUNS/back-$SEED" "$RUNS/mono.de" -o "$RUNS/searched-$SEED" --beam 5 --tag
with() { # HOW
    train "with-$1" en de --src "$RUNS/real.en" --tgt "$RUNS/real.de" \
        --src "$RUNS/$1-$SEED/pairs.en" --tgt "$RUNS/$1-$SEED/pairs.de" --set data.weights=2,1
}
with drawn &
with searched
wait $!
train all en de --src "$D/train.en" --tgt "$D/train.de"

for name in real with-drawn with-searched all; do
    echo "$name:"
    nmt evaluate -q -m "$RUNS/$name-$SEED" "$D/test2016.en" "$D/test2016.de" -o "$RUNS/$name-$SEED.hyp.de"
done
for how in drawn searched; do
    nmt score "$RUNS/with-$how-$SEED.hyp.de" "$D/test2016.de" --compare "$RUNS/real-$SEED.hyp.de"
done
