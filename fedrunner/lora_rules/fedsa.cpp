#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {

LoraRule fedsa_rule() {
  return {.value = LoraAverage::kFedsa, .local = Factor::kSecond, .any_ranks = true};
}

}  // namespace strata::fedrunner
