"""The lecture's four: heads as a batch, a GPT that adds, finetuning, features from papers.

These are the exercises that "Let's build GPT" ends with. What takes seconds is checked here; what takes minutes, a
training, is a script in examples/ that you then run.
"""
