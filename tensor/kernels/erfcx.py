"""The coefficients behind erf, erfc and the exact GELU.

For z ≥ 0 and u = (z − K) / (z + K), which brings [0, ∞) to [−1, 1),

    erfc(z) = exp(−z²) f(u) / (1 + 2z)

with a function f that is smooth and close to 1, so that its Chebyshev series Σ c_j T_j(u) converges fast (Shepherd and
Laframboise 1981, "Chebyshev approximation of (1 + 2x) exp(x²) erfc(x) in 0 ≤ x < ∞", Math. Comp. 36). The
coefficients below were computed with 50 digits for K = 2.5; the first 12 are good for float32, all for float64.
"""

from __future__ import annotations

import functools

import numpy as np

ERFCX_SCALE = 2.5  # K
CHEBYSHEV = (
    1.17711893397557838,
    0.0142127408273233209,
    -0.100377102577437955,
    0.0483842219749577072,
    -0.0126074255310691043,
    1.64215553347065961e-3,
    5.2927052289800507e-5,
    -5.10608837840982664e-5,
    2.37142855850200303e-6,
    1.5839410905182581e-6,
    -1.24839582117508472e-7,
    -6.0456573213360395e-8,
    4.09259412452101354e-9,
    2.73740942371872445e-9,
    -4.58869337160037558e-11,
    -1.31877503697294642e-10,
    -8.26809080612033172e-12,
    5.9379251241790285e-12,
    1.05963572885401746e-12,
    -1.98922599214370835e-13,
    -8.47465310911098108e-14,
    -2.51833437016695112e-16,
    4.97497199379126057e-15,
    7.98834542878856844e-16,
    -1.75950718956739264e-16,
    -8.15634190751167415e-17,
)


@functools.cache
def erfcx_polynomial(dtype) -> tuple[float, ...]:
    """f as a polynomial in u for `dtype`, highest power first (for Horner's rule)."""
    terms = len(CHEBYSHEV) if np.dtype(dtype) == np.float64 else 12
    return tuple(np.polynomial.chebyshev.cheb2poly(CHEBYSHEV[:terms])[::-1].tolist())
