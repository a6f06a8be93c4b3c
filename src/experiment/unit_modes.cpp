#include "experiment/unit_modes.h"

namespace strata::experiment {

const std::vector<UnitMode>& unit_modes() {
  // What FLAP-SAM draws anew is of use only where it is trained, by every client.
  static const std::vector<std::string> fresh = {"upscale", "tokens"};
  static const std::vector<UnitMode> modes = {
      {"full", "block", {"*"}, {}},
      {"decoder", "block", {"decoder.block.*", "iou"}, fresh},
      {"partial_decoder", "block", fresh, {}},
      {"lora", "lora", {"lora.*", "decoder.lora.*"}, {}},
      {"lora_decoder", "lora+decoder", {"lora+decoder.*", "decoder.lora+decoder.*", "iou"}, fresh},
      {"flap", "lora", {"lora.*", "decoder.lora.*"}, fresh},
      {"attention", "attention", {"attention.*", "decoder.attention.*"}, fresh},
  };
  return modes;
}

}  // namespace strata::experiment
