#pragma once
/// \file
/// The pass that counts instead of computing: what operations take, and what the backward pass
/// needs of them. One rule an operation, whatever the model.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/pass.h"

namespace strata::models {

/// What a forward pass and its backward pass take, in multiply-adds of matrix products and bytes.
struct Counted {
  std::map<std::string, double> products;  ///< of the forward pass, by layer
  double free_products = 0;                ///< of operations without parameters: attention
  double backward_products = 0;
  double kept_bytes = 0;         ///< by the forward pass for the backward pass
  double largest_operation = 0;  ///< bytes of its inputs, outputs and what it makes on the way

  double forward_products() const;
};

/// Whether a tensor depends on a trained parameter is what autograd says of it (requires_grad):
/// every operation that is not counted is computed, on tensors of the right shapes that take no
/// memory. Lookups, the sums of blocks, masks and images among words are not, because their results
/// would.
///
/// - A linear layer of t rows, from `in` to `out` numbers: t·in·out products; as many backwards if
///   its input depends on a trained parameter, and as many if its weight is trained. It keeps its
///   input if its weight is trained.
/// - A LayerNorm keeps its input and two numbers a row if its output depends on a trained
///   parameter; an RMSNorm its input and one number a row.
/// - A convolution of t places, from `in` channels to `out` through windows of k²: t·in·k²·out
///   products, backwards as a linear layer; it keeps its input if its output depends on a trained
///   parameter.
/// - A BatchNorm keeps its input if its γ is trained; one that normalises by the batch, if its
///   output depends on a trained parameter. (Its two numbers a channel are the batch's.)
/// - A scale keeps its input if its γ is trained.
/// - A product with a matrix that is made of weights is a linear layer's or a convolution's; it
///   keeps the matrix if its input depends on a trained parameter, and its input if the matrix
///   does. What makes the matrix takes twice as many products backwards.
/// - Max-pooling keeps its input and an index a number that comes out; averages keep nothing.
/// - Attention of Q queries on S tokens, H wide with A heads: 2·Q·S·H products, twice as many
///   backwards; it keeps queries, keys, values and its A·Q·S weights.
///   Scores by relative positions: 2·Q·side·H products; they keep both tables once a window if
///   the queries depend on a trained parameter, and the queries twice if a table is trained. If
///   they depend on one, attention keeps the scores, too.
/// - Rows times vectors of their sample: a product a pair of numbers; both are kept.
/// - GELU and SiLU keep their input, ReLU and tanh their output, CLIP's GELU as much; a gate keeps
///   both factors besides; a lookup of trained words keeps the ids.
///
/// What several operations keep is counted once.
class CountingPass : public Pass {
 public:
  CountingPass(const Blueprint& blueprint, const std::set<std::string>& trained,
               std::set<std::string> by_batch = {})
      : Pass(blueprint, nothing(), {}, std::move(by_batch)), trained_(trained) {}

  torch::Tensor placed(const torch::Tensor& rows, const torch::Tensor& at,
                       const torch::Tensor& others) override;
  torch::Tensor of_tokens(const Shape& shape, const std::function<torch::Tensor()>& make) override;
  torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                          const torch::Tensor& value, const torch::Tensor& mask, const Heads& heads,
                          double dropout) override;
  torch::Tensor relative_scores(const torch::Tensor& query, const std::string& rows,
                                const std::string& columns, std::int64_t heads,
                                std::int64_t side) override;
  torch::Tensor products_of(const torch::Tensor& rows, const torch::Tensor& vectors) override;
  torch::Tensor rotated(const torch::Tensor& rows, const torch::Tensor& cosine,
                        const torch::Tensor& sine) override;
  torch::Tensor activation(Activation kind, const torch::Tensor& input) override;
  torch::Tensor gated(Activation kind, const torch::Tensor& gate, const torch::Tensor& up) override;
  torch::Tensor product(const std::string& layer, const Layer& at, const torch::Tensor& input,
                        const torch::Tensor& matrix) override;
  void made_by(const std::string& layer, double multiply_adds, bool differentiated) override;
  torch::Tensor max_pool(const torch::Tensor& input, Window window) override;
  torch::Tensor average_pool(const torch::Tensor& input) override;
  torch::Tensor sum(const torch::Tensor& a, const torch::Tensor& b) override;
  torch::Tensor lookup(const std::string& parameter, const torch::Tensor& ids) override;
  torch::Tensor used(Use use, const std::string& parameter, const torch::Tensor& input,
                     torch::Tensor output) override;

  /// What has been counted since the last call. What is kept by one stage and again by the next is
  /// counted in the first.
  Counted take();

 protected:
  torch::Tensor stored(const std::string& parameter) override;
  torch::Tensor run_linear(const Layer& layer, const torch::Tensor& input) override;
  torch::Tensor run_layer_norm(const Layer& layer, const torch::Tensor& input, double eps) override;
  torch::Tensor run_rms_norm(const Layer& layer, const torch::Tensor& input, double eps,
                             double offset) override;
  torch::Tensor run_convolution(const Layer& layer, const torch::Tensor& input) override;
  torch::Tensor run_scale(const Layer& layer, const torch::Tensor& input) override;
  torch::Tensor run_batch_norm(const Layer& layer, const torch::Tensor& input, double eps) override;
  torch::Tensor run_batch_norm_of_batch(const Layer& layer, const torch::Tensor& input,
                                        double eps) override;

 private:
  static const Weights& nothing();
  torch::Tensor made(const Shape& shape, bool depends);
  void keep(const torch::Tensor& tensor);
  void held(double bytes) {
    counted_.largest_operation = std::max(counted_.largest_operation, bytes);
  }
  bool trains(const Parameter* parameter) const {
    return parameter && trained_.count(parameter->name) > 0;
  }

  const std::set<std::string>& trained_;
  Counted counted_;
  std::map<const void*, double> logical_bytes_;  // of what made() returned, by storage
  std::set<const void*> kept_;
  std::vector<torch::Tensor> alive_;  // so that no storage's address is used twice
};

}  // namespace strata::models
