#include "experiment/unit_modes.h"

namespace strata::experiment {

const std::vector<UnitMode>& unit_modes() {
  // What FLAP-SAM draws anew is of use only where it is trained, by every client.
  static const std::vector<std::string> fresh = {"upscale", "tokens"};
  static const std::vector<UnitMode> modes = {
      {"full", "block", {"*"}, {}},
      {"decoder", "block", {"decoder.block.*", "iou"}, fresh},
      {"partial_decoder", "block", fresh, {}},
      {"lora", "lora", {"lora.*", "decoder.lora.*"}, {}, true},
      {"lora_decoder",
       "lora+decoder",
       {"lora+decoder.*", "decoder.lora+decoder.*", "iou"},
       fresh,
       true},
      {"flap", "lora", {"lora.*", "decoder.lora.*"}, fresh, true},
      {"attention", "attention", {"attention.*", "decoder.attention.*"}, fresh},
  };
  return modes;
}

std::vector<std::string> unit_mode_names() {
  std::vector<std::string> names;
  for (const UnitMode& mode : unit_modes()) names.push_back(mode.name);
  return names;
}

}  // namespace strata::experiment
