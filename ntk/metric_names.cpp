#include "strata/ntk/metric_names.h"

namespace strata {

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names{"lntk",   "gradient", "magnitude",
                                              "random", "first",    "last"};
  return names;
}

}  // namespace strata
