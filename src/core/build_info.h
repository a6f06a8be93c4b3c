#pragma once
/// \file
/// What this binary was built from; the definitions are generated at build time.

namespace strata {
const char* build_version();  ///< "0.1.0"
const char* build_commit();  ///< short commit, "+changes" when the tree was not clean, or "unknown"
const char* build_type();    ///< "Release", …
const char* build_compiler();  ///< "GNU 12.2.0"
}  // namespace strata
