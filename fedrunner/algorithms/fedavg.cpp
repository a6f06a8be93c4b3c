#include "fedrunner/algorithms/algorithms.h"

namespace strata::fedrunner {

Algorithm fedavg() {
  return {.value = FederatedAlgorithm::kFedavg};
}

}  // namespace strata::fedrunner
