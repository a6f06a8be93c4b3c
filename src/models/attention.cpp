#include "models/attention.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <vector>

#include "models/attention_products.h"
#include "models/dropout.h"

namespace strata::models {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct Sizes {
  std::int64_t samples, heads, queries, tokens, head_size;
  std::int64_t width() const { return heads * head_size; }
};

Sizes sizes_of(const Tensor& query, const Tensor& mask, std::int64_t heads) {
  const std::int64_t samples = mask.size(0);
  return {samples, heads, query.size(0) / samples, mask.size(1), query.size(1) / heads};
}

/// work(sample, head) for all of them, in parallel; each writes its own part.
template <typename Work>
void for_each_head(const Sizes& sizes, const Work& work) {
  at::parallel_for(0, sizes.samples * sizes.heads, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) work(i / sizes.heads, i % sizes.heads);
  });
}

/// One head's part of a sample in (n·T, heads·d), and of the weights in (n, heads, Q, S).
template <typename T>
Strided<T> head_of(T* data, const Sizes& s, std::int64_t tokens, std::int64_t i, std::int64_t h) {
  return {data + i * tokens * s.width() + h * s.head_size, s.width(), 1};
}
template <typename T>
Strided<T> weights_of(T* data, const Sizes& s, std::int64_t i, std::int64_t h) {
  return {data + (i * s.heads + h) * s.queries * s.tokens, s.tokens, 1};
}
template <typename T>
Strided<T> transposed(Strided<T> matrix) {
  return {matrix.data, matrix.column, matrix.row};
}

/// out[i, h] = α · rows[i, h] · columns[i, h]ᵀ: (Q, d) × (S, d)ᵀ for every sample and head.
template <typename T>
void products_with_transposed(const Sizes& s, T alpha, const Tensor& rows, const Tensor& columns,
                              Tensor& out) {
  const T* left = rows.data_ptr<T>();
  const T* right = columns.data_ptr<T>();
  T* result = out.data_ptr<T>();
  for_each_head(s, [&](std::int64_t i, std::int64_t h) {
    // `multiply` wants contiguous rows of its second factor.
    thread_local std::vector<T> copy;
    copy.resize(s.head_size * s.tokens);
    const Strided<const T> from = head_of(right, s, s.tokens, i, h);
    for (std::int64_t t = 0; t < s.tokens; ++t) {
      for (std::int64_t d = 0; d < s.head_size; ++d) {
        copy[d * s.tokens + t] = from.data[t * from.row + d];
      }
    }
    multiply(s.queries, s.head_size, s.tokens, alpha, head_of(left, s, s.queries, i, h),
             Strided<const T>{copy.data(), s.tokens, 1}, weights_of(result, s, i, h));
  });
}

/// out[i, h] = α · weights[i, h] · rows[i, h], (Q, S) × (S, d), or with `over_queries`
/// out[i, h] = α · weights[i, h]ᵀ · rows[i, h], (Q, S)ᵀ × (Q, d).
template <typename T>
void weighted_sums(const Sizes& s, T alpha, const Tensor& weights, bool over_queries,
                   const Tensor& rows, Tensor& out) {
  const T* left = weights.data_ptr<T>();
  const T* right = rows.data_ptr<T>();
  T* result = out.data_ptr<T>();
  const std::int64_t summed = over_queries ? s.queries : s.tokens;
  const std::int64_t kept = over_queries ? s.tokens : s.queries;
  for_each_head(s, [&](std::int64_t i, std::int64_t h) {
    const Strided<const T> factors = weights_of(left, s, i, h);
    multiply(kept, summed, s.head_size, alpha, over_queries ? transposed(factors) : factors,
             head_of(right, s, summed, i, h), head_of(result, s, kept, i, h));
  });
}

/// (n·T, heads·d) as (n, heads, T, d), and back.
Tensor split_heads(const Tensor& rows, std::int64_t samples, std::int64_t heads) {
  return rows.view({samples, -1, heads, rows.size(1) / heads}).transpose(1, 2);
}
Tensor join_heads(const Tensor& parts) {
  return parts.transpose(1, 2).reshape({-1, parts.size(1) * parts.size(3)});
}

/// (n, 1 or heads, Q or 1, S) of either form.
Tensor of_four_dimensions(const Tensor& mask) {
  return mask.dim() == 2 ? mask.view({mask.size(0), 1, 1, -1}) : mask;
}

/// Tokens (n·T, heads·d) as (n, key heads, T of each head of the group, d), so that a product with
/// the keys' (n, key heads, S, d) is one for all heads of a group, and back.
Tensor split_groups(const Tensor& rows, std::int64_t samples, const Heads& heads) {
  const std::int64_t size = rows.size(1) / heads.queries;
  return split_heads(rows, samples, heads.queries).reshape({samples, heads.of_keys(), -1, size});
}
Tensor join_groups(const Tensor& parts, const Heads& heads) {
  const std::int64_t samples = parts.size(0), size = parts.size(3);
  return join_heads(parts.reshape({samples, heads.queries, -1, size}));
}
/// The weights (n, heads, Q, S) as factors of such products.
Tensor by_group(const Tensor& weights, const Heads& heads) {
  return weights.reshape({weights.size(0), heads.of_keys(), -1, weights.size(3)});
}

double scale_of(const Tensor& query, const Heads& heads) {
  if (heads.scale > 0) return heads.scale;
  return 1 / std::sqrt(static_cast<double>(query.size(1) / heads.queries));
}

/// The weights of all tokens (n, heads, Q, S).
Tensor attention_weights(const Tensor& query, const Tensor& key, const Tensor& mask,
                         const Heads& heads) {
  const std::int64_t n = mask.size(0);
  const Tensor products = torch::matmul(split_groups(query * scale_of(query, heads), n, heads),
                                        split_heads(key, n, heads.of_keys()).transpose(2, 3));
  const Tensor scores = products.view({n, heads.queries, -1, products.size(3)});
  return torch::softmax(scores + of_four_dimensions(mask), -1);
}

/// The gradients of query, key, value and mask by operations that autograd records, where it does.
struct AttentionGradients {
  Tensor query, key, value, scores;
};
AttentionGradients gradients_of(const Tensor& query, const Tensor& key, const Tensor& value,
                                const Tensor& weights, const Heads& heads, const Tensor& gradient) {
  const std::int64_t n = weights.size(0);
  const double scale = scale_of(query, heads);
  const Tensor keys = split_heads(key, n, heads.of_keys());
  const Tensor delta = split_groups(gradient.contiguous(), n, heads);
  const Tensor of_weights =
      torch::matmul(delta, split_heads(value, n, heads.of_keys()).transpose(2, 3))
          .view(weights.sizes());
  const Tensor scores = weights * (of_weights - (of_weights * weights).sum(-1, /*keepdim=*/true));
  const Tensor factors = by_group(scores, heads) * scale;
  return {join_groups(torch::matmul(factors, keys), heads),
          join_heads(torch::matmul(factors.transpose(2, 3), split_groups(query, n, heads))),
          join_heads(torch::matmul(by_group(weights, heads).transpose(2, 3), delta)), scores};
}

class FusedAttention : public torch::autograd::Function<FusedAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& query, const Tensor& key,
                        const Tensor& value, const Tensor& mask, std::int64_t heads) {
    const Sizes s = sizes_of(query, mask, heads);
    const double scale = 1 / std::sqrt(static_cast<double>(s.head_size));
    Tensor weights = torch::empty({s.samples, s.heads, s.queries, s.tokens}, query.options());
    Tensor out = torch::empty_like(query);
    AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "attention", [&] {
      products_with_transposed<scalar_t>(s, static_cast<scalar_t>(scale), query, key, weights);
      weights = torch::softmax(weights.add_(mask.view({s.samples, 1, 1, s.tokens})), -1);
      weighted_sums<scalar_t>(s, 1, weights, /*over_queries=*/false, value, out);
    });
    context->save_for_backward({query, key, value, weights, mask});
    return out;
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &query = saved[0], &key = saved[1], &value = saved[2], &weights = saved[3];
    const Sizes s{weights.size(0), weights.size(1), weights.size(2), weights.size(3),
                  query.size(1) / weights.size(1)};
    // Gradients that are to be differentiated again have to be functions of the inputs.
    if (torch::GradMode::is_enabled()) {
      const Heads heads{s.heads};
      const auto found = gradients_of(
          query, key, value, attention_weights(query, key, saved[4], heads), heads, gradients[0]);
      return {found.query, found.key, found.value, Tensor(), Tensor()};
    }
    const double scale = 1 / std::sqrt(static_cast<double>(s.head_size));
    const Tensor gradient = gradients[0].contiguous();
    Tensor weights_gradient = torch::empty_like(weights);
    Tensor query_gradient = torch::empty_like(query), key_gradient = torch::empty_like(key);
    Tensor value_gradient = torch::empty_like(value);
    AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "attention", [&] {
      const scalar_t alpha = static_cast<scalar_t>(scale);
      weighted_sums<scalar_t>(s, 1, weights, true, gradient, value_gradient);
      products_with_transposed<scalar_t>(s, 1, gradient, value, weights_gradient);
      const Tensor scores_gradient =
          at::_softmax_backward_data(weights_gradient, weights, -1, query.scalar_type());
      weighted_sums<scalar_t>(s, alpha, scores_gradient, false, key, query_gradient);
      weighted_sums<scalar_t>(s, alpha, scores_gradient, true, query, key_gradient);
    });
    return {query_gradient, key_gradient, value_gradient, Tensor(), Tensor()};
  }
};

/// Any mask, scale and grouping, by LibTorch's products.
class MaskedAttention : public torch::autograd::Function<MaskedAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& query, const Tensor& key,
                        const Tensor& value, const Tensor& mask, const Heads& heads) {
    const Tensor weights = attention_weights(query, key, mask, heads);
    context->save_for_backward({query, key, value, weights, mask});
    context->saved_data["queries"] = heads.queries;
    context->saved_data["keys"] = heads.keys;
    context->saved_data["scale"] = heads.scale;
    context->saved_data["mask"] = mask.requires_grad();
    return join_groups(
        torch::matmul(by_group(weights, heads), split_heads(value, mask.size(0), heads.of_keys())),
        heads);
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &query = saved[0], &key = saved[1], &value = saved[2], &mask = saved[4];
    const Heads heads{context->saved_data["queries"].toInt(), context->saved_data["keys"].toInt(),
                      context->saved_data["scale"].toDouble()};
    const Tensor weights =
        torch::GradMode::is_enabled() ? attention_weights(query, key, mask, heads) : saved[3];
    auto found = gradients_of(query, key, value, weights, heads, gradients[0]);
    Tensor of_mask;
    if (context->saved_data["mask"].toBool())
      of_mask = found.scores.sum_to_size(of_four_dimensions(mask).sizes()).view(mask.sizes());
    return {found.query, found.key, found.value, of_mask, Tensor()};
  }
};

}  // namespace

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                 const Heads& heads, double probability,
                 const std::optional<at::Generator>& generator) {
  const bool drops = generator && probability > 0;
  const bool floating =
      query.scalar_type() == torch::kFloat || query.scalar_type() == torch::kDouble;
  // What autocast makes of each product is not for a function of our own to say.
  if (drops || !floating) {
    Tensor weights = attention_weights(query, key, mask, heads);
    if (drops) weights = dropout(weights, probability, *generator);
    return join_groups(
        torch::matmul(by_group(weights, heads), split_heads(value, mask.size(0), heads.of_keys())),
        heads);
  }
  const bool plain = mask.dim() == 2 && heads.of_keys() == heads.queries && heads.scale == 0;
  if (query.is_cpu() && plain && !mask.requires_grad()) {
    return FusedAttention::apply(query.contiguous(), key.contiguous(), value.contiguous(),
                                 mask.contiguous(), heads.queries);
  }
  return MaskedAttention::apply(query, key, value, mask, heads);
}

}  // namespace strata::models
