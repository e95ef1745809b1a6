"""What all tests share: `tests/compare.py` can be imported, and torch computes on one thread, like the rest."""

import torch

torch.set_num_threads(1)
