#include "peft/norm.h"

namespace strata::peft {

MethodType norm_type() {
  return {.name = "norm",
          .section = "",
          .plural = "normalisation layers",
          .help = "",
          .trains = [](const models::Layer& layer, const models::Parameter&) {
            return layer.method.empty() && (layer.kind == models::LayerKind::kNorm ||
                                            layer.kind == models::LayerKind::kRmsNorm ||
                                            layer.kind == models::LayerKind::kBatchNorm);
          }};
}

}  // namespace strata::peft
