#include "models/short_weights.h"

#include "models/device.h"
#include "models/nf4.h"

namespace strata::models {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

Tensor matrix_of(const Tensor& weight) {
  return computable(weight).flatten(1);
}

/// rows · Wᵀ or, `transposed`, rows · W: each is the gradient of the other.
class ShortProduct : public torch::autograd::Function<ShortProduct> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& rows, const Tensor& weight,
                        bool transposed) {
    context->save_for_backward({weight});
    context->saved_data["transposed"] = transposed;
    const Tensor matrix = matrix_of(weight);
    return transposed ? rows.matmul(matrix) : torch::linear(rows, matrix);
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const bool transposed = context->saved_data["transposed"].toBool();
    return {apply(gradients[0], context->get_saved_variables()[0], !transposed), Tensor(),
            Tensor()};
  }
};

/// With a bias, which the product begins with: added afterwards it would round differently.
class ShortLinear : public torch::autograd::Function<ShortLinear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight,
                        const Tensor& bias) {
    context->save_for_backward({weight});
    context->saved_data["sizes"] = input.sizes().vec();
    context->saved_data["passes_on"] = input.requires_grad();
    return torch::linear(input, matrix_of(weight), bias);
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const Tensor weight = context->get_saved_variables()[0];
    const Tensor rows = gradients[0].reshape({-1, gradients[0].size(-1)});
    Tensor input;  // undefined where the gradient of the bias alone is wanted
    if (context->saved_data["passes_on"].toBool()) {
      input =
          ShortProduct::apply(rows, weight, true).view(context->saved_data["sizes"].toIntVector());
    }
    // Autograd sums the bias's over the rows, as it does for a product of its own.
    return {input, Tensor(), rows};
  }
};

}  // namespace

bool is_short(const Tensor& tensor) {
  return tensor.scalar_type() == torch::kHalf || tensor.scalar_type() == torch::kBFloat16 ||
         is_nf4(tensor);
}

std::int64_t number_count(const Tensor& tensor) {
  return is_nf4(tensor) ? nf4_count(tensor) : tensor.numel();
}

Tensor computable(const Tensor& tensor) {
  if (is_nf4(tensor)) return nf4_numbers(tensor);
  return is_short(tensor) ? tensor.to(torch::kFloat) : tensor;
}

Tensor short_linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  if (autocasts(input.device())) {
    // It converts to its own type, in which the weight may be already.
    const bool same = weight.scalar_type() == torch::kBFloat16;
    return torch::linear(input, same ? weight.flatten(1) : matrix_of(weight), bias);
  }
  return bias.defined() ? ShortLinear::apply(input, weight, bias)
                        : ShortProduct::apply(input, weight, false);
}

}  // namespace strata::models
