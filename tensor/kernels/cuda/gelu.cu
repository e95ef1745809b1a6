// GELU, element by element, with tanh and with erf (see nn/functional/gelu.py).

#include "elements.cuh"

const accum SCALE = 0.79788456080286535588;  // √(2/π)
const accum CUBIC = 0.044715;

// σ(2u) with u = √(2/π) (x + 0.044715 x³)
__device__ accum sigmoid_2u(accum x) { return 1 / (1 + exp(-2 * SCALE * x * (1 + CUBIC * x * x))); }

// y = ½ x (1 + tanh u) = x σ(2u)
extern "C" __global__ void gelu_tanh(const scalar* x, scalar* y, long long n) {
    each_element(n, y, [](long long, accum x) { return x * sigmoid_2u(x); }, x);
}

// dy/dx = s + x s (1 − s) 2u′, where s = σ(2u) and u′ = √(2/π) (1 + 3 · 0.044715 x²)
__device__ accum slope(accum x) {
    accum s = sigmoid_2u(x);
    return s * (1 + x * (1 - s) * 2 * SCALE * (1 + 3 * CUBIC * x * x));
}

extern "C" __global__ void gelu_tanh_backward(const scalar* dy, const scalar* x, scalar* dx, long long n) {
    each_element(n, dx, [](long long, accum dy, accum x) { return dy * slope(x); }, dy, x);
}

// The same for rows of x (N, C) to which a bias (C,) is added first; bias may be null.
extern "C" __global__ void bias_gelu_tanh(const scalar* x, scalar* y, const scalar* bias, int C, long long n) {
    auto gelu = [bias, C](long long i, accum x) {
        accum z = x + (bias ? accum(bias[i % C]) : 0);
        return z * sigmoid_2u(z);
    };
    each_element(n, y, gelu, x);
}

extern "C" __global__ void bias_gelu_tanh_backward(
    const scalar* dy, const scalar* x, scalar* dz, const scalar* bias, int C, long long n) {
    auto dgelu = [bias, C](long long i, accum dy, accum x) { return dy * slope(x + (bias ? accum(bias[i % C]) : 0)); };
    each_element(n, dz, dgelu, dy, x);
}

// Φ(x) = ½ erfc(−x / √2), the distribution function of the standard normal
__device__ accum cdf(accum x) { return accum(0.5) * erfc(x * accum(-0.70710678118654752440)); }

// φ(x) = exp(−½ x²) / √(2π), its density
__device__ accum density(accum x) { return accum(0.39894228040143267794) * exp(accum(-0.5) * x * x); }

// y = x Φ(x)
extern "C" __global__ void gelu_erf(const scalar* x, scalar* y, long long n) {
    each_element(n, y, [](long long, accum x) { return x * cdf(x); }, x);
}

// dx = dy (Φ(x) + x φ(x))
extern "C" __global__ void gelu_erf_backward(const scalar* dy, const scalar* x, scalar* dx, long long n) {
    each_element(n, dx, [](long long, accum dy, accum x) { return dy * (cdf(x) + x * density(x)); }, dy, x);
}
