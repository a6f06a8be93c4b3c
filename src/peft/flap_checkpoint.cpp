#include "peft/flap_checkpoint.h"

#include <algorithm>
#include <map>

#include "core/torch_writer.h"
#include "models/architectures/sam.h"
#include "models/architectures/sam_checkpoint.h"
#include "models/model.h"
#include "models/short_weights.h"
#include "models/tensor_bytes.h"
#include "peft/files.h"
#include "peft/methods.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::FlapPlace;
using models::Model;
using models::Weights;
using torch::Tensor;

[[noreturn]] void refuse_flap(const std::string& what) {
  throw InputError("FLAP-SAM's checkpoint: " + what);
}

/// By the weight beside which they stand.
std::map<std::string, FactorPair> pairs_of(const Model& model,
                                           const std::vector<FlapPlace>& places) {
  std::map<std::string, FactorPair> pairs;
  std::size_t methods = 0;
  for (const MethodPtr& method : methods_of(model.blueprint())) {
    ++methods;
    for (FactorPair& pair : method->factors(model.blueprint())) {
      if (pair.base.empty()) refuse_flap("it has no DoRA as Strata computes it");
      if (!pair.bias.empty()) refuse_flap("it has no biases of LoRA pairs");
      const bool known = std::any_of(places.begin(), places.end(), [&](const FlapPlace& place) {
        return place.layer->weight()->name == pair.base;
      });
      if (!known)
        refuse_flap("it has LoRA pairs beside queries and values alone, not beside \"" + pair.base +
                    "\"");
      pairs[pair.base] = std::move(pair);
    }
  }
  if (methods > 1 || (methods == 1 && pairs.empty()))
    refuse_flap("beside a SAM it has LoRA alone; strata merge computes other methods into weights");
  return pairs;
}

Tensor filled_up(const Tensor& factor, std::int64_t dimension, std::int64_t rank) {
  const std::int64_t missing = rank - factor.size(dimension);
  if (missing == 0) return factor.contiguous();
  auto shape = factor.sizes().vec();
  shape[static_cast<std::size_t>(dimension)] = missing;
  return torch::cat({factor, torch::zeros(shape)}, dimension).contiguous();
}

void add_pairs(const Model& model, const std::vector<FlapPlace>& places, Weights& tensors) {
  const auto pairs = pairs_of(model, places);
  if (pairs.empty()) return;
  const auto in_full = [&](const std::string& name) {
    return models::computable(model.weight(name)).detach().to(torch::kCPU, torch::kFloat);
  };
  std::int64_t rank = 0;
  for (const auto& [base, pair] : pairs) rank = std::max(rank, model.weight(pair.first).size(0));
  for (const FlapPlace& place : places) {
    const auto found = pairs.find(place.layer->weight()->name);
    Tensor down, up;
    if (found == pairs.end()) {
      const models::Shape& shape = place.layer->weight()->shape;
      down = torch::zeros({0, shape[1]});
      up = torch::zeros({shape[0], 0});
    } else {
      down = in_full(found->second.first);
      up = in_full(found->second.second) * found->second.scale;
    }
    tensors[place.down] = filled_up(down, 0, rank);
    tensors[place.up] = filled_up(up, 1, rank);
  }
}

}  // namespace

ExportedFile write_flap_checkpoint(const Model& model, const std::filesystem::path& file) {
  const models::Architecture& architecture = model.architecture();
  if (architecture.type() != models::kSamType)
    refuse_flap("it is of a SAM, and the model is of the type \"" + architecture.type() + "\"");
  Weights tensors = models::published_sam_weights(architecture, model.weights());
  add_pairs(model, models::flap_places(architecture), tensors);
  ExportedFile exported{file.filename().string(), "FLAP-SAM's checkpoint"};
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    views.push_back({name, Dtype::kF32, tensor.sizes().vec(), models::bytes_of(tensor)});
    ++exported.tensors;
    exported.numbers += tensor.numel();
  }
  write_torch_file(file, views, "state_dict");
  return exported;
}

}  // namespace strata::peft
