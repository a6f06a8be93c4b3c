#pragma once
/// \file
/// The seam of `run.server.lora`: what becomes of LoRA pairs in a round. One file a rule in this
/// folder, one line in the table of lora_rules.cpp. Internal.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "experiment/server_section.h"
#include "models/torch.h"

namespace strata::fedrunner {

using experiment::LoraAverage;

/// A (rank × in), B (out × rank).
enum class Factor : std::uint8_t { kFirst, kSecond };

/// A client's pair in float64, and its part of an average.
struct PairShare {
  torch::Tensor a, b;
  double share = 1;  ///< > 0; those of a pair add up to 1
};

/// What the clients that trained a pair have sent of it, in the order of their names.
struct PairUploads {
  std::vector<PairShare> shares;  ///< one at least; all of one rank
  torch::Tensor mean_a, mean_b;   ///< Σ share · A and Σ share · B, in float64
  /// A fresh A, which follows from the run's seed, the round and its name.
  std::function<torch::Tensor()> draw_a = nullptr;
};

/// What becomes of a pair, in float64.
struct MergedPair {
  torch::Tensor a, b;
  double loss = 0;  ///< what LoraRule::loss names
  torch::Tensor base =
      {};  ///< (out × in): the layer's own weight grows by the pair's scale times it
};

struct LoraRule {
  LoraAverage value;
  /// Never trained: it is in no unit, so that it is neither sent nor counted.
  std::optional<Factor> untrained = {};
  /// Trained and kept by every client (Unit::local).
  std::optional<Factor> local = {};
  /// Neither trained nor sent in a round, from 1; nullptr: none.
  std::function<std::optional<Factor>(int round)> frozen = nullptr;
  /// Of pairs of which both factors are sent. nullptr: what is sent is averaged by itself.
  std::function<MergedPair(const PairUploads&)> merge = nullptr;
  /// The key in aggregation.json of what `merge` loses of the average product; nullptr: nothing is
  /// lost.
  const char* loss = nullptr;
  /// Whether `merge` changes the weights beside which pairs stand: they are then part of the run's
  /// state, and of what clients receive.
  bool changes_base = false;
  /// Whether pairs begin every round as clients can draw them themselves, so that they do not
  /// travel to them.
  bool draws_anew = false;
};

const LoraRule& lora_rule(LoraAverage value);

}  // namespace strata::fedrunner
