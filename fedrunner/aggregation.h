#pragma once
/// \file
/// From the clients' uploads to the next global model, unit by unit.

#include "models/torch.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "strata/core/unit.h"

namespace strata {

/// Weights by name.
using ModelState = std::map<std::string, torch::Tensor>;

/// What a client sends after local training.
struct ClientUpdate {
  std::string client;
  std::int64_t samples = 0;        ///< training samples, the weight in the average; ≥ 1
  std::vector<std::string> units;  ///< the units it trained
  ModelState weights;              ///< of exactly these units
  double train_loss = 0;
  double seconds = 0;
  std::int64_t peak_memory = 0;  ///< bytes
};

/// Who trained a unit.
struct UnitUse {
  std::string unit;
  std::vector<std::string> clients;  ///< by name; empty: the unit stayed as it was
};

/// Replaces, for every unit that somebody trained, each weight by Σᵢ nᵢ wᵢ / Σᵢ nᵢ over the clients
/// i that trained it, nᵢ their training samples; other units keep their bits. Sums are in float64
/// and run over the clients in the order of their names, so the result does not depend on the order
/// of `updates`, and the average of one client is its upload, bit for bit. Returns one entry a unit
/// of `units`, in order. O(uploaded weights).
std::vector<UnitUse> aggregate(ModelState& global, const std::vector<Unit>& units,
                               const std::vector<ClientUpdate>& updates);

}  // namespace strata
