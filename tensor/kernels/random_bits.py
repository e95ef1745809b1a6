"""Random bits that need no state: the i-th of a stream is a hash of its number and of the stream's seed.

So a dropout mask is never stored: backward makes the bits of an element again from its number, every implementation
makes the same ones, and no order of threads changes them (counter-based generators: Salmon et al. 2011, "Parallel
random numbers: as easy as 1, 2, 3"). The hash is a multiply-xorshift mix of 32 bits, whose constants were searched for
the least bias between any bit in and any bit out (Wellons 2018, "Prospecting for hash functions"); the two
words of the seed enter one after the other:

    x = i · SPREAD + word₀;   x ⊕= x >> 16;   x *= FIRST;   x ⊕= x >> 15;   x += word₁;   x *= SECOND;   x ⊕= x >> 16
"""

from __future__ import annotations

FIRST, SECOND = 0x7FEB352D, 0x846CA68B
SPREAD = 0x9E3779B9  # odd: an element's number times this is different for all of the 2³² numbers
BITS = 32


def words(seed: int) -> tuple[int, int]:
    """Two 32-bit words that a 64-bit seed is mixed to, so that seeds that are alike give streams that are not.

    The mix is SplitMix64's (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
    """
    x = (seed + 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    x ^= x >> 31
    return x % 2**32, x >> 32


def threshold(p: float) -> int:
    """Bits below this number have probability p; the resolution is 2⁻³²."""
    return min(round(p * 2**BITS), 2**BITS - 1)


def random_bits(xp, numbers, seed: int):
    """The bits (uint32) of the elements with these `numbers` (uint32), an array of the module `xp`."""
    low, high = map(xp.uint32, words(seed))
    x = numbers * xp.uint32(SPREAD) + low
    x ^= x >> xp.uint32(16)
    x *= xp.uint32(FIRST)
    x ^= x >> xp.uint32(15)
    x += high
    x *= xp.uint32(SECOND)
    x ^= x >> xp.uint32(16)
    return x
