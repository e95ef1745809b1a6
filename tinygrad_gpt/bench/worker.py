"""One side of a benchmark: `python -m tinygrad_gpt.bench.worker ENGINE TASK`.

It reads requests from standard input, a line of JSON each, and answers each with a line. `["begin", {"work": …}]` makes
the model and answers with facts about the engine; after it `["round", {"iters": 5}]` does the work five times.
"""

import importlib
import json
import sys

from tinygrad_gpt.bench.settings import Work
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
    engine, name = sys.argv[1:]
    keep_freed_memory()  # this and the next for every engine
    collect_garbage_rarely()
    module, class_name = TASKS[engine, name]
    task_class, task = getattr(importlib.import_module(module), class_name), None
    for line in sys.stdin:
        request, arguments = json.loads(line)
        if request == "begin":
            task = task_class(Work.from_dict(arguments["work"]))
            answer = task.facts
        else:
            answer = getattr(task, request)(**arguments)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
