#pragma once
/// \file
/// A model's division into units: the embeddings, one unit a block, the head. LibTorch-free.

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/choices.h"
#include "models/blueprint.h"
#include "strata/core/unit.h"

namespace strata::models {

/// What the unit of a block holds.
struct UnitKind {
  std::string name;
  std::function<bool(const Layer&, const Parameter&)> holds;
  bool whole = false;  ///< the block itself, with what it does without parameters
};

/// All weights of a block's own layers: "block".
const UnitKind& block_kind();

/// What becomes of the running statistics of the BatchNorms that clients train. Those of all other
/// BatchNorms stay as they are, and normalise.
enum class Buffers : std::uint8_t {
  kAverage,  ///< they move with the batches of a client, and are averaged as weights are
  kFrozen,   ///< none moves: γ and β alone are trained
  kLocal  ///< every client keeps its own, with γ and β (FedBN: Li, Jiang, Zhang, Kamp & Dou, ICLR
          ///< 2021)
};
/// By their names: average, frozen, local.
const Choices<Buffers>& buffers_choices();

/// The units, bottom to top: one a stage, and after the embeddings one for each kind that holds
/// weights of the role kPrompt, named after it. Those of blocks are named after all other kinds and
/// their number ("adapter+layernorm.3", "vision.adapter+layernorm.3"), others after their stage
/// ("embeddings", "head"), of which they hold the architecture's own weights and those of the
/// kinds; with `only` the kinds' alone and, of the head, those of its last layer. What would hold
/// none is left out. No weight is in two units; what is in none stays frozen. With what goes with
/// their BatchNorms (set_buffers), and the costs of count_costs with so many text tokens.
std::vector<Unit> make_units(const Blueprint& blueprint, const std::vector<UnitKind>& kinds,
                             std::int64_t text_tokens, Buffers buffers, bool only = false);

/// Those of block_kind() for the longest text: every weight of the architecture is in one. No
/// policy is the default: a run's is average (units.buffers), and a model's own units are frozen.
std::vector<Unit> stage_units(const Blueprint& blueprint, Buffers buffers);

/// These weights as one unit, with what goes with their BatchNorms, but for its name, role, FLOPs
/// and activations. Names that the model does not have are passed over.
Unit unit_of(const Blueprint& blueprint, const std::set<std::string>& parameters, Buffers buffers);

/// Gives each unit what goes with the BatchNorms of which it holds a parameter: Unit::buffers and
/// Unit::local, and `bytes`, those of all that is sent. Where two units hold parameters of one, the
/// first takes the statistics.
void set_buffers(const Blueprint& blueprint, Buffers policy, std::vector<Unit>& units);
/// The BatchNorms whose statistics are among the units' buffers: those that normalise by the batch
/// while these units are trained.
std::set<std::string> moving_norms(const Blueprint& blueprint, const std::vector<Unit>& units);

}  // namespace strata::models
