#pragma once
/// \file
/// A plan for those who train the model's own weights: which of them a client trains, as regular
/// expressions for their names.

#include <map>
#include <string>
#include <vector>

#include "cli/adapter_families.h"
#include "strata/core/plan.h"

namespace strata::cli {

/// A model's weights as patterns. These are read alike by Python's `re.match`, axolotl
/// (`unfrozen_parameters`, where a dot is always a literal one) and the readers of Spectrum's files
/// (where it is any character): a dot is written as `[.]`, and every pattern begins with `^`.
class WeightPatterns {
 public:
  /// `model` is a folder with weights (weight_names), one with a config.json of a family that
  /// adapter_family knows, or such a family's `model_type`; "" for names that fit most models.
  /// @throws InputError for another name, or a folder with neither.
  explicit WeightPatterns(const std::string& model);

  /// Of one unit, by the first that holds:
  /// - "head": the family's head, or the classifier, lm_head, score, head or fc that is there;
  /// - a layer by its number ("block.3", "layer.3", "h3", "vision.block.3"): all of it, in the list
  ///   of layers whose name begins like the unit's ("vision_model.encoder.layers");
  /// - a name of weights, or a part of it between dots ("model.layers.3.mlp", "embeddings").
  /// @throws InputError for a unit that is none of these in the folder's weights, that fits several
  /// lists or places, or whose layer is not there.
  std::vector<std::string> of(const std::string& unit) const;
  /// Whether weights were read, so that every pattern is one of weights that are there.
  bool knows_weights() const { return !weights_.empty(); }

 private:
  std::vector<std::string> of_head() const;
  std::vector<std::string> of_layer(const std::string& unit, int layer) const;
  std::vector<std::string> of_name(const std::string& unit) const;
  void find_stacks();

  std::string model_;
  AdapterFamily family_;
  bool has_family_ = false;
  std::vector<std::string> weights_;
  /// The lists of numbered layers ("vit.encoder.layer") and how many each has.
  std::map<std::string, int> stacks_;
};

/// The patterns of what each client trains, in the order of plan.clients, the units that all of
/// them train among it. A warning names units whose weights are not known to be there.
/// @throws InputError as WeightPatterns, naming the client; for a plan of ranks, which are LoRA's.
std::vector<std::vector<std::string>> trained_weights(const Plan& plan, const std::string& model);

}  // namespace strata::cli
