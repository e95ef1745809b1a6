"""Step 1: a bigram model. What comes next is guessed from the last character alone.

    python examples/lecture/01_bigram.py

The whole model is one table: row i holds the logits of what follows character i. All that the later steps reach below
its loss, they owe to looking further back.

Read common.py with it, once: how a text becomes batches, what the loss is, the training loop, and how a model writes.
All later steps use that as it stands; settings.py holds their numbers.
"""

import common
from settings import options

import nn
import tensor as torch


class LanguageModel(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)

    def forward(self, idx):
        return self.table(idx)  # (B, T) -> (B, T, vocab_size)


if __name__ == "__main__":
    args = options(__doc__, learning_rate=1e-2, max_iters=3000)
    torch.manual_seed(args.seed)
    data = common.Data(args)
    common.train(LanguageModel(data.vocab_size), data, args, expected=2.50)
