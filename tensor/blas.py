"""How NumPy's BLAS waits between matrix products; imported before NumPy, as OpenBLAS reads it once, when it is loaded.

After a product, OpenBLAS's threads stay awake for the next one, by default for 2²⁶ ticks of the processor's clock:
about 30 milliseconds. The compiled kernels run on these very threads (tensor/kernels/numba_threads.py), so that is
what they want. NumPy's kernels have threads of their own, which want the same cores meanwhile and take up to twice as
long. With 2¹⁶ ticks, some 30 microseconds, a product that follows at once still finds the threads awake, and a training
step of `shakespeare-char` with NumPy's kernels takes a seventh less time. An OPENBLAS_THREAD_TIMEOUT in the environment
comes first; where NumPy was imported before, nothing changes.
"""

import importlib.util
import os

if os.environ.get("TENSOR_KERNELS") == "numpy" or importlib.util.find_spec("numba") is None:
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")  # the power of two; other BLAS libraries do not read it
