"""Backprop through attention: from dv to a backward that trains a GPT.

As in set B, all arrays are NumPy's, in float64. Results are asked for in the order in which the gradient meets them,
and the check judges each one: the first that is wrong is where to look, what follows from it is wrong as well.
"""
