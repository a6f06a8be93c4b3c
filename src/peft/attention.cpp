#include "peft/attention.h"

namespace strata::peft {

MethodType attention_type() {
  return {.name = "attention",
          .section = "",
          .plural = "attention layers",
          .help = "",
          .trains = [](const models::Layer& layer, const models::Parameter&) {
            using models::Part;
            return layer.method.empty() &&
                   (layer.part == Part::kAttention || layer.part == Part::kAttentionOutput ||
                    layer.part == Part::kPositions);
          }};
}

}  // namespace strata::peft
