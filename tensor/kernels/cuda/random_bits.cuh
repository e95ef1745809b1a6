// The bits of element number i of the stream with these two words: the hash of tensor/kernels/random_bits.py.

__device__ inline unsigned random_bits(unsigned i, unsigned low, unsigned high) {
    unsigned x = i * 0x9E3779B9u + low;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x += high;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}
