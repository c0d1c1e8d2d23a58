#!/bin/sh
# Architectures and optimisers under one budget: each has 20 minutes of one core, two at a time, and is scored on test2016.
# usage: recipes/multi30k-en-de/architectures.sh DATA_DIR RUNS_DIR [SEED]
set -eu
D=$1 RUNS=$2 SEED=${3:-1} HERE=$(dirname "$0")
mkdir -p "$RUNS"

try() { # NAME OPTION…
    run=$RUNS/$1-$SEED; shift
    nmt train --src "$D/train.en" --tgt "$D/train.de" --dev-src "$D/val.en" --dev-tgt "$D/val.de" --seed "$SEED" --threads 1 \
        --budget 20m --set model.dropout=0.1 --set alignment.head=false "$@" --out "$run"
}

score() { # NAME…
    for name in "$@"; do
        hyp=$RUNS/$name-$SEED.hyp.de
        nmt translate -m "$RUNS/$name-$SEED" -i "$D/test2016.en" -o "$hyp"
        python "$HERE/paper_score.py" "$hyp" "$D/test2016.de"
    done
}

try pre-norm & try muon --set training.optimizer=muon
wait
try rotary --set model.positions=rotary & try rms-swiglu-rotary --set model.norm=rms --set model.gated=true \
    --set model.activation=silu --set model.d_ff=176 --set model.positions=rotary
wait
try deep-encoder --set model.encoder_layers=6 --set model.decoder_layers=2 & try post-norm --set model.norm_position=post
wait
try qk-norm --set model.qk_norm=true & try muon-rotary --set training.optimizer=muon --set model.positions=rotary
wait
score pre-norm muon rotary rms-swiglu-rotary deep-encoder post-norm qk-norm muon-rotary
