// Exists to build a precompiled header that other sources reuse.
