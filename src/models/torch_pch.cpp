// Exists to build the precompiled header that the other LibTorch sources reuse.
