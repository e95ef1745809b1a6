#!/bin/sh
# Train one GPT with several processes, and go on with another number of them.
#
#     sh examples/recipes/several_processes.sh 2 books/ [OPTIONS of `tinygrad-gpt train`]
#
# It needs `pip install -e ".[distributed]"`. On one machine with few cores this is no faster than threads are: it is the
# same commands as on a cluster, where mpiexec (or srun) starts the processes on many machines.
set -eu
processes=${1:?"how many processes?"}
text=${2:?"which text? A file or a folder"}
shift 2

tinygrad-gpt prepare "$text" --out_dir=shared-tokens --overwrite

# A step is of gradient_accumulation_steps batches, and the processes divide them: a multiple of their number. The
# losses are those of one process that takes the same steps.
mpiexec -n "$processes" tinygrad-gpt train --dataset=shared-tokens --out_dir=out/shared --overwrite --backend=mpi \
    --gradient_accumulation_steps="$processes" "$@"

# The checkpoint does not know how many processes wrote it. Ten more steps, on one process.
steps=$(sed -n 's/^ *"iteration": \([0-9]*\),/\1/p' out/shared/last/state.json)
tinygrad-gpt train --init_from=resume --out_dir=out/shared --max_iters=$((steps + 10))
