"""How NumPy's BLAS waits between matrix products; imported before NumPy, as OpenBLAS reads it once, when it is loaded.

After a product, OpenBLAS's threads stay awake for the next one, by default for 2²⁶ ticks of the processor's clock:
about 30 milliseconds. Meanwhile the engine's other kernels want the same cores, and take up to twice as long. With 2¹⁶
ticks, some 30 microseconds, a product that follows at once still finds the threads awake, and a training step of
`shakespeare-char` takes a seventh less time. An OPENBLAS_THREAD_TIMEOUT in the environment comes first; where NumPy was
imported before, nothing changes.
"""

import os

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")  # the power of two; other BLAS libraries do not read it
