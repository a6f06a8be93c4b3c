#include "models/counting.h"

#include <algorithm>

namespace strata::models {
namespace {

using torch::Tensor;

double bytes(const Tensor& tensor) {
  return static_cast<double>(tensor.numel()) * static_cast<double>(tensor.element_size());
}

double rows(const Tensor& tensor) {
  return static_cast<double>(tensor.numel()) / static_cast<double>(tensor.size(-1));
}

/// A tensor of the shape over one number: as cheap for a whole model as for a toy.
Tensor weightless(const Shape& shape, bool requires_grad) {
  return torch::zeros({1}).expand(shape).detach().requires_grad_(requires_grad);
}

const void* storage_of(const Tensor& tensor) {
  return tensor.storage().unsafeGetStorageImpl();
}

}  // namespace

double Counted::forward_products() const {
  double all = free_products;
  for (const auto& [layer, number] : products) all += number;
  return all;
}

const Weights& CountingPass::nothing() {
  static const Weights none;
  return none;
}

Tensor CountingPass::stored(const std::string& name) {
  return weightless(blueprint().parameter(name).shape, trained_.count(name) > 0);
}

Tensor CountingPass::made(const Shape& shape, bool depends) {
  Tensor tensor = weightless(shape, depends);
  logical_bytes_[storage_of(tensor)] = bytes(tensor);
  alive_.push_back(tensor);
  return tensor;
}

void CountingPass::keep(const Tensor& tensor) {
  const void* storage = storage_of(tensor);
  if (!kept_.insert(storage).second) return;
  alive_.push_back(tensor);
  // A view keeps all that it is a view of. What another pass made tells its size itself.
  const auto made = logical_bytes_.find(storage);
  counted_.kept_bytes +=
      made != logical_bytes_.end()
          ? made->second
          : std::max(bytes(tensor), static_cast<double>(tensor.storage().nbytes()));
}

Counted CountingPass::take() {
  return std::exchange(counted_, {});
}

Tensor CountingPass::run_linear(const Layer& layer, const Tensor& input) {
  const Parameter &weight = *layer.weight(), *bias = layer.bias();
  const double products = rows(input) * static_cast<double>(weight.numel());
  counted_.products[layer.name] += products;
  if (input.requires_grad()) counted_.backward_products += products;
  if (trains(&weight)) {
    counted_.backward_products += products;
    keep(input);
  }
  Shape shape = input.sizes().vec();
  shape.back() = weight.shape.front();
  Tensor output = made(shape, input.requires_grad() || trains(&weight) || trains(bias));
  held(bytes(input) + bytes(output));
  return output;
}

Tensor CountingPass::run_layer_norm(const Layer& layer, const Tensor& input, double) {
  const bool depends = input.requires_grad() || trains(layer.weight()) || trains(layer.bias());
  if (depends) {
    keep(input);
    counted_.kept_bytes += 2 * rows(input) * static_cast<double>(input.element_size());
  }
  held(2 * bytes(input));
  return made(input.sizes().vec(), depends);
}

Tensor CountingPass::run_rms_norm(const Layer& layer, const Tensor& input, double, double) {
  const bool depends = input.requires_grad() || trains(layer.weight());
  if (depends) {
    keep(input);
    counted_.kept_bytes += rows(input) * static_cast<double>(input.element_size());
  }
  held(2 * bytes(input));
  return made(input.sizes().vec(), depends);
}

Tensor CountingPass::run_scale(const Layer& layer, const Tensor& input) {
  const bool trained = trains(layer.weight());
  if (trained) keep(input);
  held(2 * bytes(input));
  return made(input.sizes().vec(), input.requires_grad() || trained || trains(layer.bias()));
}

Tensor CountingPass::product(const std::string& layer, const Layer& at, const Tensor& input,
                             const Tensor& matrix) {
  Shape shape = input.sizes().vec();
  double places = rows(input);
  if (matrix.dim() == 5) {
    const Window window{matrix.size(4), at.stride, at.padding};
    shape = {input.size(0), matrix.size(1), window.places(input.size(2)),
             window.places(input.size(3))};
    places = static_cast<double>(shape[0] * shape[2] * shape[3]);
  } else if (matrix.dim() == 3) {
    shape.back() = matrix.size(1);
  }
  const double products = places * static_cast<double>(matrix.numel());
  counted_.products[layer] += products;
  if (input.requires_grad()) counted_.backward_products += products;
  if (matrix.requires_grad()) {
    counted_.backward_products += products;
    keep(input);
  }
  if (input.requires_grad()) counted_.kept_bytes += bytes(matrix);
  Tensor output = made(shape, input.requires_grad() || matrix.requires_grad());
  held(bytes(input) + bytes(output) + bytes(matrix));
  return output;
}

void CountingPass::made_by(const std::string& layer, double multiply_adds, bool differentiated) {
  counted_.products[layer] += multiply_adds;
  if (differentiated) counted_.backward_products += 2 * multiply_adds;
}

Tensor CountingPass::run_convolution(const Layer& layer, const Tensor& input) {
  const Parameter &weight = *layer.weight(), *bias = layer.bias();
  const Window window{weight.shape.back(), layer.stride, layer.padding};
  const Shape shape = {input.size(0), layer.width, window.places(input.size(2)),
                       window.places(input.size(3))};
  const double places = static_cast<double>(shape[0] * shape[2] * shape[3]);
  const double products = places * static_cast<double>(weight.numel());
  counted_.products[layer.name] += products;
  if (input.requires_grad()) counted_.backward_products += products;
  if (trains(&weight)) counted_.backward_products += products;
  // LibTorch keeps both factors whichever gradient is asked for.
  const bool depends = input.requires_grad() || trains(&weight) || trains(bias);
  if (depends) keep(input);
  Tensor output = made(shape, depends);
  held(bytes(input) + bytes(output));
  return output;
}

Tensor CountingPass::run_batch_norm(const Layer& layer, const Tensor& input, double) {
  if (trains(layer.weight())) keep(input);
  held(2 * bytes(input));
  return made(input.sizes().vec(),
              input.requires_grad() || trains(layer.weight()) || trains(layer.bias()));
}

Tensor CountingPass::run_batch_norm_of_batch(const Layer& layer, const Tensor& input, double) {
  const bool depends = input.requires_grad() || trains(layer.weight()) || trains(layer.bias());
  if (depends) keep(input);
  held(2 * bytes(input));
  return made(input.sizes().vec(), depends);
}

Tensor CountingPass::max_pool(const Tensor& input, Window window) {
  Tensor output = made(
      {input.size(0), input.size(1), window.places(input.size(2)), window.places(input.size(3))},
      input.requires_grad());
  const double indices = 8 * static_cast<double>(output.numel());
  if (input.requires_grad()) {
    keep(input);
    counted_.kept_bytes += indices;
  }
  held(bytes(input) + bytes(output) + indices);
  return output;
}

Tensor CountingPass::average_pool(const Tensor& input) {
  held(bytes(input));
  return made({input.size(0), input.size(1)}, input.requires_grad());
}

Tensor CountingPass::sum(const Tensor& a, const Tensor& b) {
  return made(a.sizes().vec(), a.requires_grad() || b.requires_grad());
}

Tensor CountingPass::lookup(const std::string& parameter, const Tensor& ids) {
  Shape shape = ids.sizes().vec();
  shape.push_back(blueprint().parameter(parameter).shape.back());
  return made(shape, trained_.count(parameter) > 0);
}

Tensor CountingPass::placed(const Tensor& rows, const Tensor&, const Tensor& others) {
  return made(rows.sizes().vec(), rows.requires_grad() || others.requires_grad());
}

Tensor CountingPass::of_tokens(const Shape& shape, const std::function<Tensor()>&) {
  return weightless(shape, false);
}

Tensor CountingPass::attention(const Tensor& query, const Tensor& key, const Tensor& value,
                               const Tensor& mask, const Heads& heads, double) {
  const double tokens = static_cast<double>(mask.size(-1));  // that each query looks at
  const double weights = static_cast<double>(heads.queries) * rows(query) * tokens *
                         static_cast<double>(query.element_size());
  const double products = 2 * tokens * static_cast<double>(query.numel());
  counted_.free_products += products;
  const bool depends = query.requires_grad() || key.requires_grad() || value.requires_grad();
  if (depends) {
    counted_.backward_products += 2 * products;
    for (const Tensor* kept : {&query, &key, &value}) keep(*kept);
    counted_.kept_bytes += weights;
    if (mask.requires_grad()) keep(mask);
  }
  held(bytes(query) + bytes(key) + bytes(value) + weights);
  return made(query.sizes().vec(), depends);
}

Tensor CountingPass::relative_scores(const Tensor& query, const std::string& rows,
                                     const std::string& columns, std::int64_t heads,
                                     std::int64_t side) {
  const double products = 2 * static_cast<double>(query.numel()) * static_cast<double>(side);
  counted_.free_products += products;
  const bool trained = trained_.count(rows) > 0 || trained_.count(columns) > 0;
  const double queries = bytes(query);
  if (query.requires_grad()) {
    counted_.backward_products += products;
    // Both tables, by distance, once a window.
    counted_.kept_bytes += 2 * queries / static_cast<double>(heads);
  }
  if (trained) {
    counted_.backward_products += products;
    keep(query);
    counted_.kept_bytes += queries;  // row by row, and column by column
  }
  Tensor output = made({query.size(0) / (side * side), heads, side * side, side * side},
                       query.requires_grad() || trained);
  held(queries + bytes(output));
  return output;
}

Tensor CountingPass::products_of(const Tensor& rows, const Tensor& vectors) {
  const double products = static_cast<double>(rows.numel()) * static_cast<double>(vectors.size(1));
  counted_.free_products += products;
  for (const auto& [depends, other] : {std::pair(rows, vectors), std::pair(vectors, rows)}) {
    if (!depends.requires_grad()) continue;
    counted_.backward_products += products;
    keep(other);
  }
  Tensor output = made({rows.size(0), rows.size(1), vectors.size(1)},
                       rows.requires_grad() || vectors.requires_grad());
  held(bytes(rows) + bytes(output));
  return output;
}

/// Keeps nothing but the angles, which are the batch's.
Tensor CountingPass::rotated(const Tensor& rows, const Tensor&, const Tensor&) {
  held(2 * bytes(rows));
  return made(rows.sizes().vec(), rows.requires_grad());
}

Tensor CountingPass::activation(Activation kind, const Tensor& input) {
  Tensor output = made(input.sizes().vec(), input.requires_grad());
  if (input.requires_grad()) {
    switch (kind) {
      case Activation::kGelu:
      case Activation::kGeluTanh:
      case Activation::kSilu:
        keep(input);
        break;
      case Activation::kQuickGelu:
        counted_.kept_bytes += bytes(input);  // the scaled input, which is nobody else's
        break;
      default:
        keep(output);
    }
  }
  held(2 * bytes(input));
  return output;
}

Tensor CountingPass::gated(Activation kind, const Tensor& gate, const Tensor& up) {
  const Tensor activated = activation(kind, gate);
  if (up.requires_grad()) keep(activated);
  if (gate.requires_grad()) keep(up);
  held(3 * bytes(up));
  return made(up.sizes().vec(), gate.requires_grad() || up.requires_grad());
}

Tensor CountingPass::used(Use use, const std::string& parameter, const Tensor& input,
                          Tensor output) {
  const bool lookup = use == Use::kEmbedding && blueprint().layer_of(parameter).vocabulary;
  if (lookup && trained_.count(parameter)) keep(input);
  return output;
}

}  // namespace strata::models
