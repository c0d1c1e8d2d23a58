#!/bin/sh
# A model of everyday sentences adapted to captions in several ways, and what each still knows of everyday sentences.
# usage: recipes/transfer/adapt.sh DATA_DIR RUNS_DIR [SEED]
set -eu
T=$1/tatoeba-de-en C=$1/multi30k RUNS=$2 SEED=${3:-1}
mkdir -p "$RUNS"
for lang in de en; do
    head -2000 "$C/train.$lang" > "$RUNS/captions.$lang"
    gzip -dc "$T/test.$lang.gz" > "$RUNS/everyday.$lang"
done

train() { # NAME OPTION…
    run=$RUNS/$1-$SEED; shift
    nmt train --seed "$SEED" --threads 1 --set alignment.head=false "$@" --out "$run"
}

adapt() { # NAME OPTION…
    train "$@" --init-from "$RUNS/general-$SEED" --src "$RUNS/captions.de" --tgt "$RUNS/captions.en" \
        --dev-src "$C/val.de" --dev-tgt "$C/val.en" --budget 4m
}

adapt_mixed() { # NAME OPTION…
    adapt "$@" --src "$T/train.de.gz" --tgt "$T/train.en.gz" --set data.weights=0.02,1 --set training.batch_tokens=2048
}

train general --src "$T/train.de.gz" --tgt "$T/train.en.gz" --dev-src "$T/dev.de.gz" --dev-tgt "$T/dev.en.gz" \
    --preset tiny --set training.batch_tokens=2048 --budget 15m &
train alone --src "$RUNS/captions.de" --tgt "$RUNS/captions.en" --dev-src "$C/val.de" --dev-tgt "$C/val.en" --budget 15m
wait $!
adapt slow --set training.learning_rate=0.0005 &
adapt tuned
wait $!
adapt fast --set training.learning_rate=0.005 &
adapt held --set training.l2_init=0.01
wait $!
adapt frozen --set training.freeze=encoder &
adapt_mixed mixed
wait $!
adapt_mixed fast-mixed --set training.learning_rate=0.005

for name in alone general slow tuned fast held frozen mixed fast-mixed; do
    run=$RUNS/$name-$SEED
    echo "$name, captions and everyday sentences:"
    nmt evaluate -q -m "$run" "$C/test2016.de" "$C/test2016.en" -o "$run.captions.en"
    nmt evaluate -q -m "$run" "$RUNS/everyday.de" "$RUNS/everyday.en" -o "$run.everyday.en"
done
for name in alone slow fast held frozen mixed fast-mixed; do
    nmt score "$RUNS/$name-$SEED.captions.en" "$C/test2016.en" --compare "$RUNS/tuned-$SEED.captions.en"
done
