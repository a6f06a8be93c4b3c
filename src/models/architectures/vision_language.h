#pragma once
/// \file
/// Models that look at an image and answer in words: a vision tower, a connector, a decoder. What a
/// kind of them consists of is a row of settings: LLaVA, PaliGemma, Idefics 3 and SmolVLM.

#include <memory>

#include "models/architecture.h"

namespace strata::models {

/// eos_token_id of a model, of its `text_config`, or what that has by default: the first of
/// several.
std::int64_t read_end_token(ObjectReader& config, std::int64_t fallback);

/// LlavaForConditionalGeneration (Liu et al. 2023, 2310.03744): CLIP or SigLIP, two linear layers,
/// LLaMA, Mistral or Qwen2.
std::shared_ptr<const Architecture> read_llava(ObjectReader& config);
/// The same as its makers' own program writes it, and LLaVA-Med's: LlavaLlamaForCausalLM and
/// LlavaMistralForCausalLM, with keys `mm_…`. The tower is the one that `mm_vision_tower` names,
/// and its weights must be in the model's files.
std::shared_ptr<const Architecture> read_original_llava(ObjectReader& config);
/// PaliGemmaForConditionalGeneration (Beyer et al. 2024, 2407.07726): SigLIP, one linear layer,
/// Gemma, whose image and prompt see each other both ways.
std::shared_ptr<const Architecture> read_paligemma(ObjectReader& config);
/// Idefics3ForConditionalGeneration and SmolVLMForConditionalGeneration (Laurençon et al. 2024,
/// 2408.12637; Marafioti et al. 2025, 2504.05299): SigLIP, squares of patches through one linear
/// layer, LLaMA. An image is one tile.
std::shared_ptr<const Architecture> read_idefics3(ObjectReader& config);

}  // namespace strata::models
