"""Backward by hand: the VJP of every operation in a GPT.

Each exercise gets dy, the gradient of the loss in an operation's result, and what the operation read or saved, and
returns the gradients of its inputs. All are NumPy arrays in float64: that is what `Op.backward` of the engine gets as
well, so an answer could stand there, and float64 leaves no doubt whether a formula is right.
"""
