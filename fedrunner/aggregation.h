#pragma once
/// \file
/// From the clients' uploads to the next global model, unit by unit.

#include "models/torch.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/choices.h"
#include "experiment/server_section.h"
#include "fedrunner/messages.h"
#include "peft/method.h"
#include "strata/core/unit.h"

namespace strata::fedrunner {

using experiment::AggregationOptions;
using experiment::ClientWeights;
using experiment::LoraAverage;
using experiment::ServerOptimizer;

/// What the server's optimizer remembers of the weights that were ever trained.
struct ServerMoments {
  ModelState first, second;
};

/// Whether every update has a unit, some have it, or none.
enum class UnitStatus { kMatched, kPartial, kUntouched };
const Choices<UnitStatus>& unit_statuses();

/// Who trained a unit.
struct UnitUse {
  std::string unit;
  std::vector<std::string> clients;  ///< by name; empty: the unit stayed as it was
  UnitStatus status = UnitStatus::kUntouched;
};

/// The units that somebody trained: those that clients download next.
std::vector<std::string> trained_units(const std::vector<UnitUse>& uses);

/// Fresh numbers of a weight, on the CPU.
using DrawWeight = std::function<torch::Tensor(const std::string& name)>;

/// What a rule lost of one pair (LoraRule::loss).
struct PairLoss {
  std::string pair;  ///< the weight beside which it stands or, without one, the pair's second
  double loss = 0;
};

/// What a round has done to the global model.
struct Aggregated {
  std::vector<UnitUse> uses;  ///< one a unit, in order
  LoraAverage rule = LoraAverage::kFactors;
  std::vector<PairLoss> losses =
      {};  ///< of the pairs that the rule has merged, if it loses anything
};

/// Moves, for every unit that somebody trained, each weight w towards the clients' average
/// ā = Σᵢ pᵢ aᵢ / Σᵢ pᵢ over the clients i that trained it, pᵢ their training samples or 1; other
/// units keep their bits, and their moments theirs. With Δ = ā − w and the learning rate η:
/// - average: w + η Δ, which for η = 1 is ā itself (FedAvg, McMahan et al., AISTATS 2017);
/// - momentum: v ← β₁ v + Δ, w + η v (FedAvgM, Hsu et al., arXiv 1909.06335);
/// - adam: m ← β₁ m + (1 − β₁) Δ, v ← β₂ v + (1 − β₂) Δ², w + η m / (√v + τ), from m = 0 and v =
/// τ²,
///   without bias correction (FedAdam, Reddi et al., ICLR 2021, algorithm 2).
///
/// `factors` are LoRA pairs (A, B). Where both are sent, the rule `options.lora` says what takes
/// the place of their averages ā (lora_rules/lora_rules.h); rules that make no averages go with
/// optimizer average and learning rate 1. Clients whose ranks are smaller than the pairs'
/// (client_ranks.h) have sent the first rows of A and columns of B; each row and column is averaged
/// over those that sent it, and what nobody sent keeps its bits and moments. `cut` says that there
/// are such clients, be they in this round or not. Those that change the weights beside which pairs
/// stand (LoraRule::changes_base) find these in `global`; those that draw pairs anew ask `draw`.
/// What the updates of a unit do not have of its parameters, as it was frozen in the round, keeps
/// its bits and moments.
///
/// Sums are in float64 and run over the clients in the order of their names, so the result does not
/// depend on the order of `updates`, and the average of one client, or of equal ones, is its
/// upload, bit for bit. O(uploaded weights), and what the rule takes for its pairs.
Aggregated aggregate(ModelState& global, const std::vector<Unit>& units,
                     const std::vector<ClientUpdate>& updates, const AggregationOptions& options,
                     const std::vector<peft::FactorPair>& factors, ServerMoments& moments,
                     const DrawWeight& draw = nullptr, bool cut = false);

}  // namespace strata::fedrunner
