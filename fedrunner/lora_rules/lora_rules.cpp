#include "fedrunner/lora_rules/lora_rules.h"

#include <algorithm>
#include <stdexcept>

namespace strata::fedrunner {

const LoraRule& lora_rule(LoraAverage value) {
  static const std::vector<LoraRule> rules = {
      factors_rule(), product_rule(), ffa_rule(),   rolora_rule(),  fedsa_rule(),
      fair_rule(),    fedex_rule(),   flora_rule(), hetlora_rule(),
  };
  const auto found = std::find_if(rules.begin(), rules.end(),
                                  [&](const LoraRule& rule) { return rule.value == value; });
  if (found == rules.end()) throw std::logic_error("a LoRA rule that is not in the table");
  return *found;
}

}  // namespace strata::fedrunner
