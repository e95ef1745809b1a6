#!/bin/sh
# Finetune GPT-2 on a text, let it write, and hand it on as a folder that transformers loads.
#
#     sh examples/recipes/finetune_gpt2.sh gpt2 my.txt [OPTIONS of `tinygrad-gpt train`]
#
# gpt2 (or gpt2-medium, -large, -xl) is downloaded once, 548 MB; a folder in Hugging Face's layout needs no network.
# A step of the smallest one reads 32 sequences of 1024 tokens: minutes on a CPU. --gradient_accumulation_steps=4 and
# --block_size=256 make a step 32 times as short, and learn less in it; --freeze="transformer.wte*" trains less.
set -eu
weights=${1:?"which GPT-2? gpt2, or a folder"}
text=${2:?"which text? A file"}
shift 2

# What it scores on the text as it is, in nats a token. Finetuning has to beat that.
tinygrad-gpt train finetune-shakespeare --init_from="$weights" --input="$text" "$@" --eval_only=True

tinygrad-gpt train finetune-shakespeare --init_from="$weights" --input="$text" --out_dir=out/finetuned --overwrite "$@"

tinygrad-gpt sample --out_dir=out/finetuned --max_new_tokens=100 --top_p=0.9

# transformers.GPT2LMHeadModel.from_pretrained("finetuned-gpt2") is this model.
tinygrad-gpt export --out_dir=out/finetuned --folder=finetuned-gpt2 --overwrite
