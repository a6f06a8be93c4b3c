"""The random numbers of ``strata``, so that both draw the same samples from the same seed.

SplitMix64 and xoshiro256** (Blackman & Vigna, 2018), as ``include/strata/core/random.h`` has them.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1


def _split_mix(state: int) -> tuple[int, int]:
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, z ^ (z >> 31)


def derive_seed(seed: int, key: str) -> int:
    """The 64-bit seed of the stream that is called ``key``."""
    digest = 0xCBF29CE484222325
    for byte in key.encode():
        digest = ((digest ^ byte) * 0x100000001B3) & _MASK
    _, mixed = _split_mix(seed & _MASK)
    state = mixed ^ ((digest + 0x632BE59BD9B4E019) & _MASK)
    state, mixed = _split_mix(state)
    _, more = _split_mix(state)
    return mixed ^ more


class Random:
    """xoshiro256**, seeded through SplitMix64.

    >>> Random(derive_seed(1, "samples")).sample(6, 3) == Random(derive_seed(1, "samples")).sample(6, 3)
    True
    """

    def __init__(self, seed: int):
        self._words = []
        state = seed & _MASK
        for _ in range(4):
            state, word = _split_mix(state)
            self._words.append(word)

    def _next(self) -> int:
        def rotated(x: int, k: int) -> int:
            return ((x << k) | (x >> (64 - k))) & _MASK

        s = self._words
        result = (rotated((s[1] * 5) & _MASK, 7) * 9) & _MASK
        t = (s[1] << 17) & _MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotated(s[3], 45)
        return result

    def uniform(self) -> float:
        """Uniform in [0, 1) with 53 random bits."""
        return (self._next() >> 11) * 2.0**-53

    def below(self, n: int) -> int:
        """Uniform integer in [0, n), without modulo bias (Lemire, 2019)."""
        product = self._next() * n
        if (product & _MASK) < n:
            threshold = (-n & _MASK) % n
            while (product & _MASK) < threshold:
                product = self._next() * n
        return product >> 64

    def sample(self, n: int, k: int) -> list[int]:
        """``k`` distinct integers out of [0, n), in random order."""
        values = list(range(n))
        for i in range(k):
            j = i + self.below(n - i)
            values[i], values[j] = values[j], values[i]
        return values[:k]


def sample_rows(available: int, samples: int, seed: int = 1) -> list[int]:
    """The rows, ascending, of the examples on which ``strata score`` scores a client.

    Args:
        available: How many examples the client has.
        samples: How many to score on (``--samples``).
        seed: ``--seed``.

    >>> sample_rows(4, 32)
    [0, 1, 2, 3]
    >>> len(sample_rows(100, 8, seed=7))
    8
    """
    random = Random(derive_seed(seed, "samples"))
    return sorted(random.sample(available, min(available, samples)))
