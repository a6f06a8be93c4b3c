#pragma once
/// \file
/// LoRA pairs beside a layer that transformers has as one where Strata has its parts (Share::only):
/// queries, keys and values of SAM's encoder are `attn.qkv`. PEFT has one pair beside it, into
/// which those of the parts fit one below the other,
///   A = [A_q; A_v],  B = [[B_q, 0], [0, 0], [0, B_v]],
/// of as many ranks as they have together.

#include <filesystem>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/checkpoint.h"
#include "models/model.h"
#include "peft/export.h"

namespace strata::peft {

/// A pair beside a whole layer, and which of its rows and columns are whose.
struct FusedPair {
  /// `layer` has ranks [begin, begin + rank) and the rows `part` of the layer's `parts`.
  struct Part {
    std::string layer;
    std::int64_t part = 0, begin = 0, rank = 0;
  };
  std::string layer;                 ///< as transformers calls it
  std::int64_t parts = 1;            ///< of equal size
  models::StoredParameter down, up;  ///< A (rank, in) and B (out, rank) as the file has them
  std::vector<Part> own;
};

/// The pairs of PEFT's files in `folder` beside layers that the model has in parts; none of other
/// methods than LoRA. A part whose rows of B are 0 has no pair. Where B is made as above, each part
/// has its own ranks; otherwise each has all of A, which makes the same of every input.
/// @throws InputError: DoRA beside such a layer; its weights are missing or misshapen
std::vector<FusedPair> fused_pairs(const Document& config, const models::Blueprint& blueprint,
                                   const std::filesystem::path& folder);

/// PEFT's configuration with the parts in place of these layers.
Document with_parts(Document config, const std::vector<FusedPair>& pairs);

/// The parts' factors out of the whole ones, which `whole` has by StoredParameter::parameter.
void split_pairs(const std::vector<FusedPair>& pairs, const models::Weights& whole,
                 models::Weights& into);

/// Writes the model's LoRA pairs in `folder`, where its methods are saved, anew as PEFT has them
/// beside whole layers, and changes its entry in `files`; nothing where it has none beside parts.
/// @throws InputError: DoRA beside parts
void write_fused_pairs(const models::Model& model, const std::filesystem::path& folder,
                       std::vector<ExportedFile>& files);

}  // namespace strata::peft
