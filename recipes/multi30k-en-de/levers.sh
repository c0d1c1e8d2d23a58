#!/bin/sh
# One training of the recipe for each lever and each of three seeds, scored on test2016; run again, it goes on.
# usage: recipes/multi30k-en-de/levers.sh DATA_DIR RUNS_DIR
set -eu
D=$1 RUNS=$2 HERE=$(dirname "$0")
mkdir -p "$RUNS"

try() { # NAME OPTION…
    name=$1; shift
    for seed in 1 2 3; do
        run=$RUNS/$name-$seed
        nmt train "$HERE/config.toml" --src "$D/train.en" --tgt "$D/train.de" --dev-src "$D/val.en" --dev-tgt "$D/val.de" \
            --seed $seed --set training.max_steps=6000 --set training.keep_checkpoints=10 "$@" --out "$run"
        nmt translate -m "$run" -i "$D/test2016.en" -o "$run.hyp.de"
        python "$HERE/paper_score.py" "$run.hyp.de" "$D/test2016.de"
    done
}

try plain
try unsampled --set tokenizer.sampling_alpha=0
try rdrop --set training.consistency=rdrop --set training.consistency_weight=5
try simcut --set training.consistency=simcut --set training.consistency_weight=3
try links --set training.reconstruction=0.1
try penalty --set training.tune_length_penalty=true
try qk-norm --set model.qk_norm=true
try adamw --set training.optimizer=adamw
try sinusoidal --set model.positions=sinusoidal
try rms-swiglu --set model.norm=rms --set model.gated=true --set model.activation=silu --set model.d_ff=512
try post-norm --set model.norm_position=post
for seed in 1 2 3; do
    mean=$RUNS/plain-$seed-mean
    [ -e "$mean" ] || nmt average "$RUNS/plain-$seed" -o "$mean"
    nmt translate -m "$mean" -i "$D/test2016.en" -o "$mean.hyp.de"
    python "$HERE/paper_score.py" "$mean.hyp.de" "$D/test2016.de"
done
