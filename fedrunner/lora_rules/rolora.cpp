#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {

LoraRule rolora_rule() {
  // B is 0 at first, and over it A would have no gradient.
  const auto frozen = [](int round) -> std::optional<Factor> {
    return round % 2 == 1 ? Factor::kFirst : Factor::kSecond;
  };
  return {.value = LoraAverage::kRolora, .frozen = frozen};
}

}  // namespace strata::fedrunner
