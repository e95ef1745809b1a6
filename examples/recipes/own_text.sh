#!/bin/sh
# Train a GPT on your own text, and let it write.
#
#     sh examples/recipes/own_text.sh books/ [OPTIONS of `tinygrad-gpt train`]
#
# books/ is a text file, a folder of them, a pattern in quotes or a .jsonl file, of any size.
set -eu
text=${1:?"which text? A file or a folder"}
shift

# Once: the text as token files, one token a character. --tokenizer=gpt2 packs about four characters into one, for
# texts of many megabytes and larger models.
tinygrad-gpt prepare "$text" --out_dir=own-tokens --overwrite

# A few minutes on a laptop. Is the validation loss still falling at the end? More --max_iters. Is it rising while the
# training loss falls? Then the model learns the text by heart: --dropout=0.2, a smaller model, or more text.
tinygrad-gpt train --dataset=own-tokens --out_dir=out/own-text --overwrite "$@"

# From the checkpoint with the lowest validation loss. A lower temperature is more careful, a higher one more surprising.
tinygrad-gpt sample --out_dir=out/own-text --max_new_tokens=300 --temperature=0.8
