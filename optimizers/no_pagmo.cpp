// pagmo's algorithms of a build without pagmo: none.

#include "optimizers/pagmo_algorithms.h"

namespace strata::optimizers {

const std::vector<PagmoAlgorithm>& pagmo_algorithms() {
  static const std::vector<PagmoAlgorithm> none;
  return none;
}

}  // namespace strata::optimizers
