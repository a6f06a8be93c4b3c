#include "models/pass.h"

#include "models/dropout.h"
#include "models/rms_norm.h"
#include "models/short_weights.h"
#include "strata/core/error.h"

namespace strata::models {

using torch::Tensor;

namespace {

/// Row i · side + k is table[i - k + side - 1]: (1 or n, side, side, d) of (1 or n, 2 side - 1, d).
Tensor by_distance(const Tensor& table, std::int64_t side) {
  const Tensor places =
      torch::arange(side, torch::TensorOptions(torch::kLong).device(table.device()));
  const Tensor distances = places.unsqueeze(1) - places + (side - 1);
  return table.index_select(1, distances.flatten())
      .view({table.size(0), side, side, table.size(2)});
}

}  // namespace

Tensor Pass::stored(const std::string& parameter) {
  if (by_companions_) {
    const auto companion = companions_->weights.find(parameter);
    if (companion != companions_->weights.end()) return companion->second;
  }
  return weights_.at(parameter);
}

Tensor Pass::weight(const std::string& parameter) {
  return computable(stored(parameter));
}

Tensor Pass::lookup(const std::string& parameter, const Tensor& ids) {
  return computable(torch::embedding(stored(parameter), ids));
}

Tensor Pass::with_attachments(const Layer& layer, const Tensor& input, Tensor output) {
  // What an attachment has put there itself is not attached to.
  if (!layer.method.empty()) return output;
  for (const auto& attachment : blueprint_.attachments()) {
    const bool twice = companions_ && companions_->methods.count(attachment->name()) > 0;
    output = twice ? with_companions(*attachment, layer, input, output)
                   : attachment->after(layer, input, output, *this);
  }
  return output;
}

Tensor Pass::with_companions(const Attachment& attachment, const Layer& layer, const Tensor& input,
                             const Tensor& output) {
  const Tensor first = attachment.after(layer, input, output, *this);
  // What it notes beside this layer it needs with the same weights beside a later one.
  notes_.swap(companion_notes_);
  by_companions_ = true;
  const Tensor second = attachment.after(layer, input, output, *this);
  by_companions_ = false;
  notes_.swap(companion_notes_);
  return first.is_same(second) ? first : (first + second) / 2;
}

Tensor Pass::entering(const Layer& layer, Tensor input) {
  if (!layer.method.empty()) return input;
  for (const auto& attachment : blueprint_.attachments())
    input = attachment->before(layer, input, *this);
  return input;
}

Tensor Pass::linear(const std::string& name, const Tensor& rows) {
  const Layer& layer = blueprint_.layer(name);
  const Tensor input = entering(layer, rows);
  return with_attachments(layer, input, run_linear(layer, input));
}

Tensor Pass::run_linear(const Layer& layer, const Tensor& input) {
  const Tensor matrix = stored(layer.weight()->name);
  const Tensor bias = layer.bias() ? weight(layer.bias()->name) : Tensor();
  return is_short(matrix) ? short_linear(input, matrix, bias)
                          : torch::linear(input, matrix.flatten(1), bias);
}

Tensor Pass::layer_norm(const std::string& name, const Tensor& input, double eps) {
  const Layer& layer = blueprint_.layer(name);
  return with_attachments(layer, input, run_layer_norm(layer, input, eps));
}

Tensor Pass::run_layer_norm(const Layer& layer, const Tensor& input, double eps) {
  const Tensor gamma = weight(layer.weight()->name), beta = weight(layer.bias()->name);
  // Autocast leaves the type to us on the CPU.
  return torch::layer_norm(input.to(gamma.scalar_type()), {input.size(-1)}, gamma, beta, eps);
}

Tensor Pass::rms_norm(const std::string& name, const Tensor& input, double eps, double offset) {
  const Layer& layer = blueprint_.layer(name);
  return with_attachments(layer, input, run_rms_norm(layer, input, eps, offset));
}

Tensor Pass::run_rms_norm(const Layer& layer, const Tensor& input, double eps, double offset) {
  const Tensor gamma = weight(layer.weight()->name);
  return models::rms_norm(input.to(gamma.scalar_type()), offset == 0 ? gamma : gamma + offset, eps);
}

Tensor Pass::convolution(const std::string& name, const Tensor& maps) {
  const Layer& layer = blueprint_.layer(name);
  const Tensor input = entering(layer, maps);
  return with_attachments(layer, input, run_convolution(layer, input));
}

Tensor Pass::run_convolution(const Layer& layer, const Tensor& input) {
  const Parameter* bias = layer.bias();
  return torch::conv2d(input, weight(layer.weight()->name), bias ? weight(bias->name) : Tensor(),
                       layer.stride, layer.padding);
}

Tensor Pass::scale(const std::string& name, const Tensor& input) {
  return run_scale(blueprint_.layer(name), input);
}

Tensor Pass::run_scale(const Layer& layer, const Tensor& input) {
  const auto shaped = [&](const Parameter& parameter) {
    const Tensor values = weight(parameter.name).flatten();
    return input.dim() == 4 ? values.view({1, -1, 1, 1}) : values;
  };
  const Tensor scaled = input * shaped(*layer.weight());
  return layer.bias() ? scaled + shaped(*layer.bias()) : scaled;
}

Tensor Pass::each(const std::string& parameter) {
  return weight(parameter).unsqueeze(0);
}

Tensor Pass::product(const std::string&, const Layer& at, const Tensor& input,
                     const Tensor& matrix) {
  const std::int64_t n = matrix.size(0);
  if (matrix.dim() == 5) {
    if (n == 1) return torch::conv2d(input, matrix[0], {}, at.stride, at.padding);
    // A sample's maps are a group of channels.
    const Tensor maps = input.reshape({1, n * input.size(1), input.size(2), input.size(3)});
    const Tensor sums = torch::conv2d(maps, matrix.flatten(0, 1), {}, at.stride, at.padding, 1, n);
    return sums.reshape({n, matrix.size(1), sums.size(2), sums.size(3)});
  }
  if (matrix.dim() == 4) {
    const Tensor rows = input.reshape({n, -1, matrix.size(1), matrix.size(3)}).transpose(1, 2);
    return torch::matmul(rows, matrix.transpose(2, 3)).transpose(1, 2).reshape(input.sizes());
  }
  if (n == 1) return torch::linear(input, matrix[0]);
  const Tensor rows = input.reshape({n, -1, input.size(-1)});
  Shape shape = input.sizes().vec();
  shape.back() = matrix.size(1);
  return torch::bmm(rows, matrix.transpose(1, 2)).reshape(shape);
}

Tensor Pass::batch_norm(const std::string& name, const Tensor& input, double eps) {
  const Layer& layer = blueprint_.layer(name);
  return with_attachments(layer, input,
                          by_batch_.count(name) ? run_batch_norm_of_batch(layer, input, eps)
                                                : run_batch_norm(layer, input, eps));
}

Tensor Pass::running_mean(const Layer& layer) {
  return weight(layer.buffers[0].name).view({1, -1, 1, 1});
}

Tensor Pass::running_scale(const Layer& layer, double eps) {
  return (weight(layer.buffers[1].name) + eps).rsqrt().view({1, -1, 1, 1});
}

Tensor Pass::run_batch_norm(const Layer& layer, const Tensor& input, double eps) {
  const Tensor gamma = weight(layer.weight()->name).view({1, -1, 1, 1});
  const Tensor beta = weight(layer.bias()->name).view({1, -1, 1, 1});
  // A product and a sum: where γ is frozen, autograd need not keep the input.
  const Tensor scale = gamma * running_scale(layer, eps);
  const Tensor shift = beta - running_mean(layer) * scale;
  return torch::addcmul(shift, input.to(scale.scalar_type()), scale);
}

Tensor Pass::run_batch_norm_of_batch(const Layer& layer, const Tensor& input, double eps) {
  constexpr double kMomentum = 0.1;  // torch.nn.BatchNorm2d's
  if (input.numel() == input.size(1)) {
    throw WorkError("\"" + layer.name +
                    "\": a batch of one number a channel has no variance; batches of more samples, "
                    "or larger images, have");
  }
  const Tensor gamma = weight(layer.weight()->name), beta = weight(layer.bias()->name);
  const Tensor output = torch::batch_norm(
      input.to(gamma.scalar_type()), gamma, beta, weights_.at(layer.buffers[0].name),
      weights_.at(layer.buffers[1].name), /*training=*/true, kMomentum, eps, /*cudnn=*/true);
  const torch::NoGradGuard no_grad;
  Tensor(weights_.at(layer.buffers[2].name)).add_(1);
  return output;
}

Tensor Pass::max_pool(const Tensor& input, Window window) {
  return torch::max_pool2d(input, window.size, window.stride, window.padding);
}

Tensor Pass::average_pool(const Tensor& input) {
  return input.mean({2, 3});
}

Tensor Pass::sum(const Tensor& a, const Tensor& b) {
  return a + b;
}

Tensor Pass::placed(const Tensor& rows, const Tensor& at, const Tensor& others) {
  return rows.index_copy(0, at, others);
}

Tensor Pass::of_tokens(const Shape&, const std::function<Tensor()>& make) {
  return make();
}

Tensor Pass::attention(const Tensor& query, const Tensor& key, const Tensor& value,
                       const Tensor& mask, const Heads& heads, double dropout) {
  return models::attention(query, key, value, mask, heads, dropout, generator_);
}

Tensor Pass::relative_scores(const Tensor& query, const std::string& rows,
                             const std::string& columns, std::int64_t heads, std::int64_t side) {
  const std::int64_t size = query.size(1) / heads, windows = query.size(0) / (side * side);
  const Tensor q = query.view({windows, side, side, heads, size});
  // Tables of the samples' own are those of each of their windows.
  const auto table = [&](const std::string& name) {
    const Tensor found = by_distance(each(name), side);
    return found.size(0) == 1 ? found : found.repeat_interleave(windows / found.size(0), 0);
  };
  const auto scores = [&](const Tensor& first, const std::string& name) {
    return torch::matmul(first.reshape({windows, side, side * heads, size}),
                         table(name).transpose(2, 3))
        .view({windows, side, side, heads, side});
  };
  // (windows, i, j, heads, k) and (windows, j, i, heads, l).
  const Tensor of_rows = scores(q, rows).permute({0, 3, 1, 2, 4});
  const Tensor of_columns = scores(q.transpose(1, 2), columns).permute({0, 3, 2, 1, 4});
  return (of_rows.unsqueeze(-1) + of_columns.unsqueeze(-2))
      .view({windows, heads, side * side, side * side});
}

Tensor Pass::upsampling(const std::string& name, const Tensor& maps) {
  const Layer& layer = blueprint_.layer(name);
  const Tensor matrix = each(layer.weight()->name).permute({0, 3, 4, 2, 1});  // (n, 2, 2, out, in)
  const std::int64_t h = maps.size(1), w = maps.size(2), out = matrix.size(3);
  const Tensor rows = product(name, layer, maps.reshape({-1, maps.size(3)}),
                              matrix.reshape({matrix.size(0), 4 * out, maps.size(3)}));
  const Tensor grown =
      rows.view({-1, h, w, 2, 2, out}).permute({0, 1, 3, 2, 4, 5}).reshape({-1, 2 * h, 2 * w, out});
  const std::string& bias = layer.bias()->name;
  return with_attachments(layer, maps, used(Use::kBias, bias, Tensor(), grown + weight(bias)));
}

Tensor Pass::products_of(const Tensor& rows, const Tensor& vectors) {
  return torch::bmm(rows, vectors.transpose(1, 2));
}

Tensor Pass::rotated(const Tensor& rows, const Tensor& cosine, const Tensor& sine) {
  const std::int64_t size = cosine.size(1), half = size / 2;
  const Tensor heads = rows.reshape({rows.size(0), -1, size});
  const Tensor turned = torch::cat({-heads.narrow(2, half, half), heads.narrow(2, 0, half)}, 2);
  return (heads * cosine.unsqueeze(1) + turned * sine.unsqueeze(1)).reshape(rows.sizes());
}

Tensor Pass::activation(Activation kind, const Tensor& input) {
  switch (kind) {
    case Activation::kGelu:
      return torch::gelu(input);
    case Activation::kRelu:
      return torch::relu(input);
    case Activation::kSilu:
      return torch::silu(input);
    case Activation::kGeluTanh:
      return torch::gelu(input, "tanh");
    case Activation::kQuickGelu: {
      constexpr double kFactor = 1.702;
      return torch::silu(kFactor * input) / kFactor;  // autograd keeps one tensor
    }
    default:
      return torch::tanh(input);
  }
}

Tensor Pass::gated(Activation kind, const Tensor& gate, const Tensor& up) {
  return activation(kind, gate) * up;
}

Tensor Pass::dropout(const Tensor& input, double probability) const {
  return generator_ && probability > 0 ? models::dropout(input, probability, *generator_) : input;
}

Pass::Kept Pass::remembered(const std::string&, const Kept& now) {
  return now;
}

Pass::Seen Pass::once(const std::string&, const std::function<Seen()>& make) {
  return make();
}

Tensor Pass::sequence(const std::string& layer, const Tensor& rows) {
  if (!begins()) return rows;
  return with_attachments(blueprint_.layer(layer), rows, rows);
}

Tensor Pass::block_end(const std::string& layer, const Tensor& rows) {
  return with_attachments(blueprint_.layer(layer), rows, rows);
}

Tensor Pass::block_begin(const std::string& name, const Tensor& rows, std::int64_t n) {
  Tensor changed = rows;
  for (const auto& attachment : blueprint_.attachments()) {
    if (!attachment->enters_blocks()) continue;
    const Tensor samples = changed.view({n, -1, rows.size(-1)});
    changed = attachment->entering(blueprint_.layer(name), samples, *this).reshape(rows.sizes());
  }
  return changed;
}

Tensor Pass::noted(const std::string& name) {
  Tensor tensor = notes_.at(name);
  notes_.erase(name);
  return tensor;
}

Tensor Pass::used(Use, const std::string&, const Tensor&, Tensor output) {
  return output;
}

bool Pass::wants(const std::string&) const {
  return false;
}

}  // namespace strata::models
