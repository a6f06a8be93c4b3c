#pragma once
/// \file
/// ALBEF for visual question answering (Li et al., NeurIPS 2021, 2107.07651): a ViT with timm's
/// names, a BERT of the question whose upper layers attend to the image, and a causal decoder of
/// the answer that attends to the question. Weight for weight the authors' VQA model, without the
/// momentum copies that train it by distillation.

#include <memory>
#include <string>

#include "models/architecture.h"

namespace strata::models {

inline const std::string kAlbefType = "albef";

/// `model_type: albef` with the fields of the authors' config_bert.json and VQA.yaml: see
/// docs/models.md.
std::shared_ptr<const Architecture> read_albef(ObjectReader& config);

}  // namespace strata::models
