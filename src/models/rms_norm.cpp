#include "models/rms_norm.h"

namespace strata::models {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// 1 / √(mean(x²) + eps), a number a row.
Tensor inverse_rms(const Tensor& x, double eps) {
  return torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + eps);
}

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& scale,
                        double eps) {
    const Tensor inverse = inverse_rms(x, eps);
    context->save_for_backward({x, scale, inverse});
    context->saved_data["eps"] = eps;
    context->saved_data["trains"] = scale.requires_grad();
    return x * inverse * scale;
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &scale = saved[1], &delta = gradients[0];
    // A gradient that is to be differentiated again has to be a function of x.
    const Tensor inverse = torch::GradMode::is_enabled()
                               ? inverse_rms(x, context->saved_data["eps"].toDouble())
                               : saved[2];
    const Tensor normalised = x * inverse, scaled = delta * scale;
    const Tensor input = inverse * (scaled - normalised * (scaled * normalised).mean(-1, true));
    Tensor of_scale;
    if (context->saved_data["trains"].toBool())
      of_scale = (delta * normalised).reshape({-1, x.size(-1)}).sum(0);
    return {input, of_scale, Tensor()};
  }
};

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& scale, double eps) {
  return RmsNorm::apply(x, scale, eps);
}

}  // namespace strata::models
