#include "strata/ntk/metric_names.h"

namespace strata::ntk {

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names{
      "lntk",  "gradient", "trace",   "grad_norm", "rgn",    "snr",   "magnitude", "snip",
      "grasp", "gradflow", "synflow", "fisher",    "random", "first", "last"};
  return names;
}

}  // namespace strata::ntk
