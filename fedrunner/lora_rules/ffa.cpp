#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {

LoraRule ffa_rule() {
  return {.value = LoraAverage::kFfa, .untrained = Factor::kFirst};
}

}  // namespace strata::fedrunner
