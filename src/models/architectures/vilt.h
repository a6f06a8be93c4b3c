#pragma once
/// \file
/// ViLT for visual question answering (Kim, Son & Kim, ICML 2021), weight for weight transformers'
/// ViltForQuestionAnswering: text and patch embeddings with modality types, pre-LN blocks, pooler,
/// two-layer classifier. LibTorch's types do not show.

#include <memory>

#include "models/architectures/patch_transformer.h"

namespace strata::models {

/// The fields of transformers' ViltConfig that shape the model, with its defaults.
struct ViltConfig : PatchTransformerConfig {
  ViltConfig();
  std::int64_t vocab_size = 30522;
  std::int64_t type_vocab_size = 2;
  std::int64_t modality_type_vocab_size = 2;
  std::int64_t max_position_embeddings = 40;
  /// At most so many patches of an image are read; negative: all. transformers draws them at random
  /// where there are more, so that an image with more is refused here.
  std::int64_t max_image_length = -1;
};

std::shared_ptr<const Architecture> make_vilt(ViltConfig config);
std::shared_ptr<const Architecture> read_vilt(ObjectReader& config);
std::shared_ptr<const Architecture> vilt_from_yaml(ObjectReader& section);
/// Its keys, for docs/runs.md.
inline constexpr const char* kViltKeys =
    "`hidden_size`, `layers`, `heads`, `image_size`, `patch_size`; optional `intermediate_size` "
    "(4 × hidden), `max_text` (40 tokens), `dropout` (0), `initialization` (`huggingface`, or "
    "`scaled` for small models trained from scratch), `initializer_range` (0.02)";

}  // namespace strata::models
