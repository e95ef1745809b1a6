"""One side of a benchmark: `python -m tinygrad_gpt.bench.worker ENGINE TASK [tuned]`.

It reads requests from standard input, a line of JSON each, and answers each with a line. `["begin", {"work": …}]` makes
the model and answers with facts about the engine; after it `["round", {"iters": 5}]` does the work five times. What
cannot be done is answered with `{"error": …}`. A process that is `tuned` has a training run's settings of memory.
"""

import importlib
import json
import os
import sys

from tinygrad_gpt.bench.settings import Work
from tinygrad_gpt.errors import TRACEBACK_VARIABLE
from tinygrad_gpt.memory import collect_garbage_rarely, keep_freed_memory

# (engine, task) -> the module and the class of the work; an engine's packages are imported in its own process only
TASKS = {
    ("ours", "step"): ("tinygrad_gpt.bench.our_side", "OurStep"),
    ("ours", "sample"): ("tinygrad_gpt.bench.our_side", "OurSample"),
    ("torch", "step"): ("tinygrad_gpt.bench.torch_side", "TorchStep"),
    ("transformers", "sample"): ("tinygrad_gpt.bench.torch_side", "TransformersSample"),
    ("ours", "ops"): ("tinygrad_gpt.bench.our_side", "OurOps"),
    ("torch", "ops"): ("tinygrad_gpt.bench.torch_side", "TorchOps"),
    ("floor", "step"): ("tinygrad_gpt.bench.floor", "MatrixProducts"),
}


def main() -> None:
    engine, name, *tuned = sys.argv[1:]
    if tuned:
        keep_freed_memory()
        collect_garbage_rarely()
    module, class_name = TASKS[engine, name]
    task_class, task = getattr(importlib.import_module(module), class_name), None
    for line in sys.stdin:
        request, arguments = json.loads(line)
        try:
            if request == "begin":
                task = task_class(Work.from_dict(arguments["work"]))
                answer = task.facts | {"malloc_and_gc": "as in train" if tuned else "as they come"}
            else:
                answer = getattr(task, request)(**arguments)
        except Exception as error:  # too little memory, kernels that do not exist: the user has to know
            if os.environ.get(TRACEBACK_VARIABLE):
                raise
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
