#include "models/attachment.h"

#include "models/torch.h"

namespace strata::models {

std::vector<Layer> Attachment::layers(const Layer&) const {
  return {};
}

std::vector<Layer> Attachment::shared_layers(const std::vector<Layer>&) const {
  return {};
}

at::Tensor Attachment::before(const Layer&, const at::Tensor& input, Pass&) const {
  return input;
}

at::Tensor Attachment::entering(const Layer&, const at::Tensor& rows, Pass&) const {
  return rows;
}

at::Tensor Attachment::after(const Layer&, const at::Tensor&, const at::Tensor& output,
                             Pass&) const {
  return output;
}

}  // namespace strata::models
