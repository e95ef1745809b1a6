// One step of Adam or AdamW for many parameters in one launch (see nn/optim.py for the formula).

#include "table.cuh"

// An entry is p, g, m, v and v_max, which is null but for AMSGrad. g counts *factor times, or once if that is null.
// rate = lr / (1 − β₁ᵗ), gain = 1 − β, root = 1 / √(1 − β₂ᵗ), shrink = 1 − lr · decay
extern "C" __global__ void adam(
    const __grid_constant__ Table table, const accum* factor, accum rate, accum beta1, accum gain1, accum beta2,
    accum gain2, accum eps, accum shrink, accum l2, accum root) {
    Entry entry = own_entry(table);
    scalar *p = entry.arrays[0], *g = entry.arrays[1], *m = entry.arrays[2], *v = entry.arrays[3];
    scalar* v_max = entry.arrays[4];
    accum times = factor ? *factor : accum(1);
    each_own_element(entry, [=](long long i) {
        accum old = accum(p[i]), gradient = times * accum(g[i]) + l2 * old;
        accum mean = beta1 * accum(m[i]) + gain1 * gradient;
        accum square = beta2 * accum(v[i]) + gain2 * gradient * gradient;
        m[i] = scalar(mean);
        v[i] = scalar(square);
        if (v_max) {
            square = square > accum(v_max[i]) ? square : accum(v_max[i]);
            v_max[i] = scalar(square);
        }
        p[i] = scalar(shrink * old - rate * mean / (sqrt(square) * root + eps));
    });
}
