#include "models/architectures/activations.h"

#include "core/choices.h"

namespace strata::models {

Activation read_activation(ObjectReader& reader, const std::string& key, Activation fallback) {
  static const Choices<Activation> names({{Activation::kGelu, "gelu"},
                                          {Activation::kGeluTanh, "gelu_pytorch_tanh"},
                                          {Activation::kGeluTanh, "gelu_new"},
                                          {Activation::kQuickGelu, "quick_gelu"},
                                          {Activation::kRelu, "relu"},
                                          {Activation::kSilu, "silu"},
                                          {Activation::kSilu, "swish"},
                                          {Activation::kTanh, "tanh"}});
  return names.value(reader.choice(key, names.names(), names.name(fallback)));
}

}  // namespace strata::models
