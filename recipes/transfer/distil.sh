#!/bin/sh
# A small student with one decoder layer: taught by a model, or by the real translations; with its pace.
# usage: recipes/transfer/distil.sh DATA_DIR TEACHER RUNS_DIR [SEED]; the teacher translates English captions to German
set -eu
D=$1/multi30k TEACHER=$2 RUNS=$3 SEED=${4:-1}
mkdir -p "$RUNS"
set -- --preset tiny --set model.decoder_layers=1 --set alignment.head=false --seed "$SEED" --threads 1 --budget 15m \
    --dev-src "$D/val.en" --dev-tgt "$D/val.de"

nmt train "$@" --src "$D/train.en" --tgt "$D/train.de" --out "$RUNS/real-$SEED" &
nmt distill "$@" -m "$TEACHER" --src "$D/train.en" --out "$RUNS/taught-$SEED"
wait $!

ln -sfn "$(realpath "$TEACHER")" "$RUNS/teacher-$SEED"
for name in teacher real taught; do
    run=$RUNS/$name-$SEED
    for beam in 1 5; do
        echo "$name, beam $beam:"
        nmt evaluate -m "$run" "$D/test2016.en" "$D/test2016.de" --beam $beam -o "$run.beam$beam.de"
    done
done
for beam in 1 5; do
    nmt score "$RUNS/taught-$SEED.beam$beam.de" "$D/test2016.de" --compare "$RUNS/real-$SEED.beam$beam.de"
done
