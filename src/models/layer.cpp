#include "models/layer.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace strata::models {
namespace {

const Parameter* find(const std::vector<Parameter>& parameters, bool bias) {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(),
                   [&](const Parameter& parameter) { return parameter.bias == bias; });
  return found == parameters.end() ? nullptr : &*found;
}

}  // namespace

std::int64_t Parameter::numel() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

const Parameter* Layer::weight() const {
  return find(parameters, false);
}
const Parameter* Layer::bias() const {
  return find(parameters, true);
}

}  // namespace strata::models
