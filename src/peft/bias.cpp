#include "peft/bias.h"

namespace strata::peft {

MethodType bias_type() {
  return {.name = "bias",
          .section = "",
          .plural = "biases",
          .help = "",
          .trains = [](const models::Layer& layer, const models::Parameter& parameter) {
            return layer.method.empty() && parameter.bias;
          }};
}

}  // namespace strata::peft
