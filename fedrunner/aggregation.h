#pragma once
/// \file
/// From the clients' uploads to the next global model, unit by unit.

#include "models/torch.h"

#include <cstdint>
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

/// Moves, for every unit that somebody trained, each weight w towards the clients' average
/// ā = Σᵢ pᵢ aᵢ / Σᵢ pᵢ over the clients i that trained it, pᵢ their training samples or 1; other
/// units keep their bits, and their moments theirs. With Δ = ā − w and the learning rate η:
/// - average: w + η Δ, which for η = 1 is ā itself (FedAvg, McMahan et al., AISTATS 2017);
/// - momentum: v ← β₁ v + Δ, w + η v (FedAvgM, Hsu et al., arXiv 1909.06335);
/// - adam: m ← β₁ m + (1 − β₁) Δ, v ← β₂ v + (1 − β₂) Δ², w + η m / (√v + τ), from m = 0 and v =
/// τ²,
///   without bias correction (FedAdam, Reddi et al., ICLR 2021, algorithm 2).
///
/// `factors` are LoRA pairs (A, B). They are averaged as factors, like all weights: mean(B) mean(A)
/// is not mean(B A). With `lora: product`, the average of the products Bᵢ Aᵢ is factored anew by
/// SVD, cut to the rank (FlexLoRA, Bai et al., NeurIPS 2024): with Σᵢ pᵢ Bᵢ Aᵢ / Σᵢ pᵢ = U S Vᵀ, A
/// = ρ Vᵀ and B = U S / ρ, ρ the root mean square over the clients and rows of ‖row of Aᵢ‖, so that
/// A keeps the scale its clients trained and never vanishes. It goes with optimizer average and
/// learning rate 1. One client's pair is taken over as it is.
///
/// Sums are in float64 and run over the clients in the order of their names, so the result does not
/// depend on the order of `updates`, and the average of one client, or of equal ones, is its
/// upload, bit for bit. Returns one entry a unit of `units`, in order. O(uploaded weights), and for
/// products O((in + out) (k r)²) a pair of rank r from k clients.
std::vector<UnitUse> aggregate(ModelState& global, const std::vector<Unit>& units,
                               const std::vector<ClientUpdate>& updates,
                               const AggregationOptions& options,
                               const std::vector<peft::FactorPair>& factors,
                               ServerMoments& moments);

}  // namespace strata::fedrunner
