#include "peft/layernorm.h"

namespace strata::peft {

MethodType layernorm_type() {
  return {.name = "layernorm",
          .section = "",
          .plural = "LayerNorms",
          .help = "",
          .trains = [](const models::Layer& layer, const models::Parameter&) {
            return layer.method.empty() && layer.kind == models::LayerKind::kNorm;
          }};
}

}  // namespace strata::peft
