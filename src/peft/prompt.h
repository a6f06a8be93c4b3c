#pragma once
/// \file
/// Prompts: learned vectors put before the tokens that enter the first block, with no position of
/// their own (VPT-shallow, Jia et al., ECCV 2022, arXiv 2203.12119; PromptFL trains such vectors
/// federatedly, Guo et al., IEEE Transactions on Mobile Computing 2024). Deep ones are before the
/// tokens of every block, in place of what the block before has made of its own (VPT-deep): of a
/// ViT-B/16 92,160 numbers for ten. Attention does not ask for their order, so that it is the same
/// whether they come before the class token or behind it, as in the authors' code.
///
/// With a rank they are a product P = U V, U (length × rank) and V (rank × width), the decomposed
/// prompts (DVPT) of federated fine-tuning of ViTs (arXiv 2407.11573): 778 numbers for ten of rank
/// 1. V is drawn as prompts are, U so that P has numbers of the size of V's. With rank 1 the
/// vectors differ in length and sign alone, and a norm at the beginning of a block leaves of that
/// the sign.
///
/// With a hidden width h they are what a small network makes of learned vectors E, the same for
/// every sample: P = W₂ tanh(W₁ E + b₁) + b₂, W₁ (h × width), W₂ (width × h), as prefixes are
/// trained in prefix-tuning (Li & Liang, ACL 2021, arXiv 2101.00190) and prompts in the program of
/// FedDAT (Chen et al., AAAI 2024), which is where the published count of F3OCUS's prompts comes
/// from: 299,712 numbers for five of ViLT-B and h = 192, one such set for the text and one for the
/// image. Drawn as PyTorch draws an embedding and linear layers.

#include "core/choices.h"
#include "peft/method.h"

namespace strata::peft {

enum class PromptDepth : std::uint8_t { kShallow, kDeep };
/// N(0, 0.02²), or VPT's: between ±√(6 / (numbers of a patch + width)).
enum class PromptInit : std::uint8_t { kNormal, kVpt };

struct PromptFields {
  std::int64_t length = 0;
  PromptDepth depth = PromptDepth::kShallow;
  std::int64_t rank = 0;    ///< 0: no product
  std::int64_t hidden = 0;  ///< 0: no network
  PromptInit initialization = PromptInit::kNormal;
};

MethodType prompt_type();
MethodPtr make_prompts(PromptFields fields);
MethodPtr make_prompts(std::int64_t length);

}  // namespace strata::peft
