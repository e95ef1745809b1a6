// One step of Adam or AdamW for many parameters in one launch (see nn/optim.py for the formula).

#include "types.cuh"

struct Parameter {  // the arrays of one parameter; v_max is null but for AMSGrad
    scalar* p;
    const scalar* g;
    scalar *m, *v, *v_max;
    long long size;
    long long first_block;  // the number of the first block that works on it
};

struct Table {  // handed over with the launch, which may carry 4 KiB: nothing is copied to the device before
    Parameter parameters[TABLE_SIZE];
    long long count;
};

// rate = lr / (1 − β₁ᵗ), gain = 1 − β, root = 1 / √(1 − β₂ᵗ), shrink = 1 − lr · decay
extern "C" __global__ void adam(
    Table table, accum rate, accum beta1, accum gain1, accum beta2, accum gain2, accum eps, accum shrink, accum l2,
    accum root) {
    int own = 0;  // a block's parameter is the last whose blocks begin at or before it
    while (own + 1 < table.count && table.parameters[own + 1].first_block <= blockIdx.x) own++;
    Parameter a = table.parameters[own];
    long long start = (blockIdx.x - a.first_block) * BLOCK_ELEMENTS;
    for (int k = threadIdx.x; k < BLOCK_ELEMENTS; k += blockDim.x) {
        long long i = start + k;
        if (i >= a.size) return;
        accum p = accum(a.p[i]), g = accum(a.g[i]) + l2 * p;
        accum m = beta1 * accum(a.m[i]) + gain1 * g;
        accum v = beta2 * accum(a.v[i]) + gain2 * g * g;
        a.m[i] = scalar(m);
        a.v[i] = scalar(v);
        if (a.v_max) {
            v = v > accum(a.v_max[i]) ? v : accum(a.v_max[i]);
            a.v_max[i] = scalar(v);
        }
        a.p[i] = scalar(shrink * p - rate * m / (sqrt(v) * root + eps));
    }
}
