#include "models/attachment.h"

#include "models/torch.h"

namespace strata::models {

std::vector<Layer> Attachment::layers(const Layer&) const {
  return {};
}

at::Tensor Attachment::after(const Layer&, const at::Tensor&, const at::Tensor& output,
                             Pass&) const {
  return output;
}

}  // namespace strata::models
