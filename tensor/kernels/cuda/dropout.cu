// Dropout: y = x / (1 − p) where the bits of the element's number are at least `drop` = p · 2³², else 0.
// No mask is kept: backward is the same kernel on dy (see nn/functional/dropout.py).

#include "elements.cuh"
#include "random_bits.cuh"

extern "C" __global__ void dropout(
    const scalar* x, scalar* y, accum scale, unsigned drop, unsigned low, unsigned high, long long n) {
    auto keep_or_drop = [=](long long i, accum x) {
        return random_bits(unsigned(i), low, high) >= drop ? x * scale : accum(0);
    };
    each_element(n, y, keep_or_drop, x);
}
