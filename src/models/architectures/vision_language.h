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
/// One to be trained from scratch, whose texts a learnt tokenizer reads (data/text/
/// learnt_tokenizer.h): LLaVA-1.5's kind, CLIP and LLaMA. All of the tower's blocks are used.
std::shared_ptr<const Architecture> llava_from_yaml(ObjectReader& section);
/// Its keys, for docs/runs.md.
inline constexpr const char* kLlavaKeys =
    "`hidden_size`, `layers`, `heads` of the language model, `image_size`, `patch_size`; optional "
    "`intermediate_size` (4 × hidden), `vision_hidden_size`, `vision_layers`, `vision_heads` of "
    "the image encoder (as the language model), `vision_intermediate_size` (4 × its hidden), "
    "`max_text` (64 tokens beside the image's), `vocabulary` (512 tokens at most, which "
    "`pretrain` learns from its texts), `initializer_range` (0.02)";

/// The same as its makers' own program writes it, and LLaVA-Med's: LlavaLlamaForCausalLM and
/// LlavaMistralForCausalLM, with keys `mm_…`. The tower is the one that `mm_vision_tower` names:
/// one of CLIP's on the hub, or a folder, absolute or beside config.json. Its weights are in the
/// model's own files or in that folder; what is saved holds them, and its sizes (`vision_config`).
/// `image_aspect_ratio` says whether images are padded to squares.
std::shared_ptr<const Architecture> read_original_llava(ObjectReader& config);
/// PaliGemmaForConditionalGeneration (Beyer et al. 2024, 2407.07726): SigLIP, one linear layer,
/// Gemma, whose image and prompt see each other both ways.
std::shared_ptr<const Architecture> read_paligemma(ObjectReader& config);
/// Idefics3ForConditionalGeneration and SmolVLMForConditionalGeneration (Laurençon et al. 2024,
/// 2408.12637; Marafioti et al. 2025, 2504.05299): SigLIP, squares of patches through one linear
/// layer, LLaMA. An image is one tile, or several beside the whole of it, each with its own tokens.
std::shared_ptr<const Architecture> read_idefics3(ObjectReader& config);

}  // namespace strata::models
