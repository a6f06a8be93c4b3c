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
/// Where ranks differ, a client of rank k has the first k rows of A and columns of B.
struct PairUploads {
  std::vector<PairShare> shares;  ///< one at least, of a rank of at least 1
  /// Σ share · A and Σ share · B, in float64; where ranks differ, of each row and column over those
  /// that have it, up to the largest of the ranks, and divided by their shares.
  torch::Tensor mean_a, mean_b;
  torch::Tensor before_a = {};  ///< the A that the round began with, of the pair's own rank
  bool cut = false;             ///< whether clients will have first rows and columns alone
  /// A fresh A, which follows from the run's seed, the round and its name.
  std::function<torch::Tensor()> draw_a = nullptr;
};

/// What becomes of a pair, in float64. Rows of A and columns of B beyond these stay as they are.
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
  /// Whether clients may have pairs of smaller ranks (client_ranks.h).
  bool any_ranks = false;
};

const LoraRule& lora_rule(LoraAverage value);

}  // namespace strata::fedrunner
