#pragma once
/// \file
/// `units.mode`, and `mode` of a strategy: what of SAM clients train, by the names of "A Federated
/// Learning-Friendly Approach for PEFT of SAM in 3D Segmentation" (FLAP-SAM, 2407.21739, figure 1).

#include <string>
#include <vector>

namespace strata::experiment {

struct UnitMode {
  std::string name;
  std::string scheme;                           ///< see peft::scheme_units
  std::vector<std::string> selectable, always;  ///< names and patterns of its units
  bool pairs = false;                           ///< whether it has LoRA pairs
};

/// full, decoder, partial_decoder, lora, lora_decoder, flap, attention.
const std::vector<UnitMode>& unit_modes();
std::vector<std::string> unit_mode_names();

}  // namespace strata::experiment
