#pragma once
/// \file
/// Less data: a share of a client's examples, for low-data regimes. Internal.

#include <cstdint>
#include <vector>

#include "data/manifest.h"

namespace strata::data {

/// A share 0 < `fraction` ≤ 1 of `examples` (indices into the manifest's), rounded, at least one
/// where there is one; ascending. Stratified: of every answer or class (target_of) as nearly that
/// share as whole numbers allow, the commonest first where there is not enough for all. Nested:
/// with the same `seed` the examples of a smaller fraction are among those of a larger.
std::vector<int> nested_share(const Manifest& manifest, const std::vector<int>& examples,
                              double fraction, std::uint64_t seed);

/// Two parts of a client's examples, each ascending.
struct HeldOut {
  std::vector<int> kept, held;
};

/// Holds out the examples of a share 0 < `share` < 1 of the groups: what is decided on them (a
/// learning rate) has not been trained on. A group is all that is of one patient or, where that is
/// not known, of one lesion or, where neither is, of one image; an image's is what the first of its
/// examples that knows says. Stratified by the target of each group's first example, as
/// nested_share is. One group at least is held and one kept; of a single group all is kept.
HeldOut hold_out(const Manifest& manifest, const std::vector<int>& examples, double share,
                 std::uint64_t seed);

}  // namespace strata::data
