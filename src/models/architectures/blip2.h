#pragma once
/// \file
/// BLIP-2 (Li, Li, Savarese & Hoi 2023, 2301.12597): an image encoder, a Q-Former, a language
/// model.

#include <memory>

#include "models/architecture.h"

namespace strata::models {

/// Blip2ForConditionalGeneration: EVA's ViT-g, the Q-Former, OPT or FlanT5. Stages: those of the
/// tower; the queries, with the tower's last norm; a block of the Q-Former each ("qformer.block.3",
/// of the role connector: it is as large as one of BERT's, and may be scored and chosen alone); the
/// projection; those of the language model.
std::shared_ptr<const Architecture> read_blip2(ObjectReader& config);

}  // namespace strata::models
