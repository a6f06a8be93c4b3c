#pragma once
/// \file
/// AdaptFormer (Chen et al., NeurIPS 2022, arXiv 2205.13535): beside the MLP of every block, of the
/// rows x that its norm reads,
///   MLP(norm(x)) + x + scale · W_up relu(W_down x + b_down) + b_up,
/// W_down (bottleneck × hidden) drawn as torch.nn.Linear with kaiming's √5, W_up and the biases 0.
/// With `normed` it reads norm(x), as eq. 3 of arXiv 2305.08252. Of a ViT-B/16 with a bottleneck of
/// 64 1,189,632 numbers, of 6 119,880.

#include "peft/method.h"

namespace strata::peft {

struct AdaptFormerFields {
  std::int64_t bottleneck = 64;
  double scale = 0.1;
  double dropout = 0.1;  ///< of the bottleneck, while training
  bool normed = false;
};

MethodType adaptformer_type();
MethodPtr make_adaptformer(AdaptFormerFields fields);

}  // namespace strata::peft
