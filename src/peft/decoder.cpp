#include "peft/decoder.h"

namespace strata::peft {

MethodType decoder_type() {
  return {.name = "decoder",
          .section = "",
          .plural = "weights of a decoder's blocks",
          .help = "",
          .trains = [](const models::Layer& layer, const models::Parameter&) {
            return layer.method.empty() && layer.group == models::kDecoderGroup;
          }};
}

}  // namespace strata::peft
