#pragma once
/// \file
/// Every PEFT method on small models, for tests that hold for all of them.

#include <string>
#include <vector>

#include "peft/files.h"
#include "strata/core/random.h"
#include "support/tiny_model.h"

namespace strata::test {

/// As --peft has them: of a patch transformer that is eight numbers wide, and of a ResNet.
inline std::vector<std::string> transformer_methods() {
  return {"prompts:length=2",
          "prompts:length=3,rank=2,initialization=vpt",
          "prompts:length=2,depth=deep,initialization=vpt",
          "prompts:length=3,depth=deep,rank=2",
          "prompts:length=3,hidden=5",
          "lora:rank=2,targets=query+fc2",
          "lora:rank=2,alpha=3,rank_stabilized=true,targets=value",
          "lora:rank=2,dora=true,targets=query+fc1",
          "lora:rank=2,alpha=3,bias=true,targets=query+fc1",
          "lora:rank=2,targets=query+projection",
          "lora:rank=2,dora=true,targets=projection",
          "adapters:reduction=4",
          "adapters:reduction=4,placement=houlsby",
          "adaptformer:bottleneck=3",
          "adaptformer:bottleneck=3,normed=true,scale=0.5",
          "ssf",
          "ia3",
          "ia3:targets=key+fc1+fc2,feedforward=fc1",
          "vera:rank=5,targets=query+fc1",
          "loha:rank=2,targets=value+fc1",
          "lokr:rank=1,targets=query+fc1",
          "lokr:rank=8,targets=query+fc2",
          "oft:block=4,targets=query+fc2",
          "oft:block=2,series=false,targets=key"};
}
inline std::vector<std::string> resnet_methods() {
  return {"lora:rank=2,targets=convolution",
          "lora:rank=1,dora=true,targets=convolution",
          "tsa",
          "ssf",
          "ssf:before_batch_norm=true",
          "ia3:targets=convolution,feedforward=",
          "ia3:targets=convolution,feedforward=convolution",
          "loha:rank=2,targets=convolution",
          "lokr:rank=1,targets=convolution",
          "lokr:rank=4,targets=convolution",
          "oft:block=4,targets=shortcut.convolution",
          "oft:block=2,series=false,targets=shortcut.convolution"};
}

/// For the narrow ViT.
inline models::Batch vit_images(std::int64_t n) {
  Random random(9);
  models::Batch batch;
  batch.pixels = torch::empty({n, 3, 8, 8});
  for (std::int64_t i = 0; i < batch.pixels.numel(); ++i)
    batch.pixels.data_ptr<float>()[i] = static_cast<float>(random.normal());
  batch.labels = torch::zeros({n}, torch::kInt64);
  return batch;
}

inline double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().max().item<double>();
}

/// The model with the method, whose weights are moved away from where they start, at which most
/// methods change nothing.
inline void add_method(models::Model& model, const std::string& text, std::uint64_t seed = 3,
                       double by = 0.3) {
  peft::add_methods(model, {peft::parse_method(text, "--peft")}, seed);
  Random random(derive_seed(seed, "moved"));
  const torch::NoGradGuard no_grad;
  for (const models::Parameter& parameter : added_parameters(model)) {
    torch::Tensor moved = torch::empty(parameter.shape);
    for (std::int64_t i = 0; i < moved.numel(); ++i)
      moved.data_ptr<float>()[i] = static_cast<float>(by * random.normal());
    torch::Tensor& own = model.weight(parameter.name);
    own.add_(moved.to(own.scalar_type()));
  }
}

}  // namespace strata::test
