#!/bin/sh
# Exercise 3 of the lecture: pretrain on a large text, finetune on a small one, and compare with the small one alone.
#
#     sh examples/recipes/pretrain_then_finetune.sh large/ small.txt [OPTIONS of `tinygrad-gpt train`]
#
# The same model is trained for the same number of steps on the small text, once from new weights and once from those
# that have read the large one. The large text must not hold the small one's validation part, which is its last tenth:
# for Shakespeare, not his collected works. A few minutes for each of the three trainings.
set -eu
large=${1:?"which large text? A file or a folder"}
small=${2:?"which small text? A file"}
shift 2

# A token is a character, and its row of weights must be there when the small text comes: characters that the large one
# lacks are prepared along with it, once each. They stay as random as they were until the finetuning.
PYTHONUTF8=1 python3 -c 'import sys; print(*sorted(set(sys.stdin.read())))' < "$small" > alphabet.txt
tinygrad-gpt prepare "$large" alphabet.txt --tokenizer=char --out_dir=large-tokens --overwrite

# Options for all three trainings.
set -- --max_iters=1000 --sample_tokens=0 --overwrite "$@"
tinygrad-gpt train --dataset=large-tokens --out_dir=out/large "$@"

tinygrad-gpt train --input="$small" --out_dir=out/scratch "$@"
tinygrad-gpt train --init_from=out/large --input="$small" --out_dir=out/large-then-small "$@"

# Both on the whole validation part of the small text.
tinygrad-gpt eval --out_dir=out/scratch
tinygrad-gpt eval --out_dir=out/large-then-small
