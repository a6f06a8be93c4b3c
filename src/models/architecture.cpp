#include "models/architecture.h"

#include "strata/core/error.h"

namespace strata::models {

std::shared_ptr<const Architecture> Architecture::with(std::vector<std::string>,
                                                       std::int64_t) const {
  throw InputError("a model of the type \"" + type() +
                   "\" answers in words: it has no labels that could be others");
}

}  // namespace strata::models
