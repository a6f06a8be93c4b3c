#include "models/architectures/activations.h"

#include "core/choices.h"

namespace strata::models {
namespace {

const Choices<Activation>& activations() {
  static const Choices<Activation> names({{Activation::kGelu, "gelu"},
                                          {Activation::kGeluTanh, "gelu_pytorch_tanh"},
                                          {Activation::kGeluTanh, "gelu_new"},
                                          {Activation::kQuickGelu, "quick_gelu"},
                                          {Activation::kRelu, "relu"},
                                          {Activation::kSilu, "silu"},
                                          {Activation::kSilu, "swish"},
                                          {Activation::kTanh, "tanh"}});
  return names;
}

}  // namespace

Activation read_activation(ObjectReader& reader, const std::string& key, Activation fallback) {
  const Choices<Activation>& names = activations();
  return names.value(reader.choice(key, names.names(), names.name(fallback)));
}

std::string activation_name(Activation activation) {
  return activations().name(activation);
}

}  // namespace strata::models
