#pragma once
/// \file
/// One pass through a model: every operation that has parameters, or keeps something for the
/// backward pass, goes through it. What computes, records or counts is a kind of pass; methods
/// beside the architecture's layers (attachment.h) act in each of them.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "models/attention.h"
#include "models/blueprint.h"
#include "models/torch.h"

namespace strata::models {

/// Tensors by name.
using Weights = std::map<std::string, torch::Tensor>;

/// Second values of parameters of some attachments. What an attachment that has any makes of an
/// output is then the mean of what it makes with the model's own weights and with these in their
/// place, and elsewhere it acts with the model's own.
struct Companions {
  Weights weights;
  std::set<std::string> methods;  ///< Attachment::name of those whose parameters these are
};

/// Without a threshold or parameters of their own.
enum class Activation : std::uint8_t {
  kGelu,
  kRelu,
  kTanh,
  kSilu,
  kGeluTanh,  ///< GELU by its approximation with tanh: gelu_new, gelu_pytorch_tanh
  kQuickGelu  ///< x · σ(1.702 x), as CLIP has it
};

/// A square window that slides over images with the same stride and padding both ways.
struct Window {
  std::int64_t size = 1, stride = 1, padding = 0;
  /// Places along a side.
  std::int64_t places(std::int64_t side) const { return (side + 2 * padding - size) / stride + 1; }
};

/// How an output depends on a parameter besides those of linear layers and norms.
enum class Use : std::uint8_t {
  kEmbedding,  ///< output = … + W[ids], ids int64 (n, T)
  kMixture,    ///< output = … + matrix · W, the rows of a table mixed; matrix (n, T, rows of W)
  kAdded,      ///< output = … + W, W having the output's shape per sample
  kBias,       ///< output = … + W, W being a row that is added to every one
  kScaled      ///< output = … + W ⊙ x, W being a row and x of the output's shape
};

/// The pass that computes.
class Pass {
 public:
  /// `weights` must hold what the blueprint names, and outlive the pass. With `dropout`, a
  /// generator of the model's device, dropout is drawn from it. The BatchNorms named in `by_batch`
  /// normalise by the batch's own statistics, as torch.nn.BatchNorm2d does in training: the running
  /// ones move a tenth of the way to them (the variance with n - 1), and the batch is counted. All
  /// others normalise by the running ones, which stay as they are. `companions`, where given,
  /// outlive the pass.
  Pass(const Blueprint& blueprint, const Weights& weights,
       std::optional<at::Generator> dropout = {}, std::set<std::string> by_batch = {},
       const Companions* companions = nullptr)
      : blueprint_(blueprint),
        weights_(weights),
        generator_(std::move(dropout)),
        by_batch_(std::move(by_batch)),
        companions_(companions) {}
  virtual ~Pass() = default;
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  const Blueprint& blueprint() const { return blueprint_; }

  /// A parameter, in the type that is computed in. Who computes with it by itself says so by
  /// used().
  torch::Tensor weight(const std::string& parameter);
  /// Those rows of a table: weight() would convert all of them.
  virtual torch::Tensor lookup(const std::string& parameter, const torch::Tensor& ids);
  /// input · Wᵀ + b over the last dimension; a weight of more dimensions has its last ones
  /// flattened, as of a convolution over patches.
  torch::Tensor linear(const std::string& layer, const torch::Tensor& input);
  /// Over the last dimension.
  torch::Tensor layer_norm(const std::string& layer, const torch::Tensor& input, double eps);
  /// x̂ ⊙ (γ + offset), x̂ being the row over its root mean square (rms_norm.h).
  torch::Tensor rms_norm(const std::string& layer, const torch::Tensor& input, double eps,
                         double offset = 0);
  /// (n, in, h, w) to (n, out, h', w'); the window's size is the weight's, its stride and padding
  /// the layer's.
  torch::Tensor convolution(const std::string& layer, const torch::Tensor& input);
  /// x ⊙ γ (+ β) over the last dimension of rows, or the channels of maps (n, channels, h, w).
  torch::Tensor scale(const std::string& layer, const torch::Tensor& input);
  /// For weights that are computed with otherwise than by the layers above: the parameter with one
  /// more dimension in front, (1, …); where its per-sample gradients are recorded, (n, …), a copy a
  /// sample. What is made of it is broadcast over that dimension.
  virtual torch::Tensor each(const std::string& parameter);
  /// What the layer `at`, linear or a convolution, would make of the input with another weight and
  /// no bias: `matrix`, (1 or n, out, in) or (1 or n, out, in, size, size), made of each(); or
  /// (1 or n, blocks, b, b), whose blocks turn the b numbers of an input that are theirs. Its
  /// multiply-adds are counted as those of `layer`.
  virtual torch::Tensor product(const std::string& layer, const Layer& at,
                                const torch::Tensor& input, const torch::Tensor& matrix);
  /// Says that so many multiply-adds went into what was made of weights, and whether gradients go
  /// through it; they are counted as those of `layer`.
  virtual void made_by(const std::string& layer, double multiply_adds, bool differentiated) {}
  /// Each channel of (n, channels, h, w). @throws WorkError where the batch's own statistics are
  /// asked for and a channel has a single number
  torch::Tensor batch_norm(const std::string& layer, const torch::Tensor& input, double eps);
  virtual torch::Tensor max_pool(const torch::Tensor& input, Window window);
  /// (n, channels, h, w) to the mean of each channel, (n, channels).
  virtual torch::Tensor average_pool(const torch::Tensor& input);
  /// a + b, of one shape: what a block adds to its rows. (Any sum may be written as +, which a pass
  /// that counts then computes.)
  virtual torch::Tensor sum(const torch::Tensor& a, const torch::Tensor& b);
  /// The rows (m, width), and in the places `at` (k) these others, (k, width).
  virtual torch::Tensor placed(const torch::Tensor& rows, const torch::Tensor& at,
                               const torch::Tensor& others);
  /// What is made of a batch's tokens alone, of this shape: a mask of queries by tokens, which
  /// grows with their square, and of which a pass that counts needs the shape.
  virtual torch::Tensor of_tokens(const Shape& shape, const std::function<torch::Tensor()>& make);
  /// See attention.h; dropped with the probability `dropout`.
  virtual torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                                  const torch::Tensor& value, const torch::Tensor& mask,
                                  const Heads& heads, double dropout);
  /// What decomposed relative positions (Li et al., CVPR 2022, 2112.01526, equation 4) add to the
  /// scores of queries (n·windows·side², heads·d), those of a square window of `side` places
  /// together, row by row: (n·windows, heads, side², side²). For a query at (i, j) and a key at
  /// (k, l) it is q · rows[i - k + side - 1] + q · columns[j - l + side - 1], of two tables
  /// (2 side - 1, d).
  virtual torch::Tensor relative_scores(const torch::Tensor& query, const std::string& rows,
                                        const std::string& columns, std::int64_t heads,
                                        std::int64_t side);
  /// (n, h, w, in) to (n, 2h, 2w, out).
  torch::Tensor upsampling(const std::string& layer, const torch::Tensor& maps);
  /// Each of the rows (n, T, d) times each vector (n, K, d) of its sample: (n, T, K).
  virtual torch::Tensor products_of(const torch::Tensor& rows, const torch::Tensor& vectors);
  /// Every head of rows (n·T, heads·d) turned by its row's angles, of which (n·T, d) are the
  /// cosines and sines: numbers i and i + d/2 are a pair (rotary positions, Su et al. 2021).
  virtual torch::Tensor rotated(const torch::Tensor& rows, const torch::Tensor& cosine,
                                const torch::Tensor& sine);
  virtual torch::Tensor activation(Activation kind, const torch::Tensor& input);
  /// activation(gate) ⊙ up.
  virtual torch::Tensor gated(Activation kind, const torch::Tensor& gate, const torch::Tensor& up);
  torch::Tensor dropout(const torch::Tensor& input, double probability) const;

  /// Keys and values of tokens, (n·T, width) each, that attention named so has now: with those of
  /// the tokens before them, where the pass keeps them (generation.h).
  struct Kept {
    torch::Tensor keys, values;
  };
  virtual Kept remembered(const std::string& name, const Kept& now);
  /// How many tokens of each text those of now come behind, where the pass keeps them.
  virtual std::int64_t tokens_before() const { return 0; }
  /// What attention looks at: keys and values, (m·S, width), and what is added to their scores.
  struct Seen {
    torch::Tensor keys, values, mask;
  };
  /// That of attention named so to states which stay the same while a text goes on: made once,
  /// where the pass keeps it.
  virtual Seen once(const std::string& name, const std::function<Seen()>& make);

  /// The rows (n, tokens, width) that enter the first block, where they begin a text, and what a
  /// block leaves: places without parameters, beside which attachments may act.
  torch::Tensor sequence(const std::string& layer, const torch::Tensor& rows);
  torch::Tensor block_end(const std::string& layer, const torch::Tensor& rows);
  /// The rows (n·tokens, width) that enter a block, tokens of attachments replaced by the block's.
  torch::Tensor block_begin(const std::string& layer, const torch::Tensor& rows, std::int64_t n);

  /// What an attachment has made beside one layer and needs beside a later one of the same stage.
  void note(const std::string& name, torch::Tensor tensor) { notes_[name] = std::move(tensor); }
  /// Takes it away. @throws std::out_of_range
  torch::Tensor noted(const std::string& name);

  /// Says that `output` depends on a parameter, and returns what stands for it from here on.
  /// `input` are the ids, the matrix or x, and undefined for kAdded and kBias.
  virtual torch::Tensor used(Use use, const std::string& parameter, const torch::Tensor& input,
                             torch::Tensor output);
  /// Whether used() wants to know of the parameter: a matrix need not be made otherwise.
  virtual bool wants(const std::string& parameter) const;

 protected:
  /// Whether tokens are a text's first, not what follows those that are kept.
  virtual bool begins() const { return true; }
  /// A parameter as the model holds it, perhaps in a short type (short_weights.h).
  virtual torch::Tensor stored(const std::string& parameter);
  virtual torch::Tensor run_linear(const Layer& layer, const torch::Tensor& input);
  virtual torch::Tensor run_layer_norm(const Layer& layer, const torch::Tensor& input, double eps);
  virtual torch::Tensor run_rms_norm(const Layer& layer, const torch::Tensor& input, double eps,
                                     double offset);
  virtual torch::Tensor run_convolution(const Layer& layer, const torch::Tensor& input);
  virtual torch::Tensor run_scale(const Layer& layer, const torch::Tensor& input);
  /// By the running statistics, and by the batch's.
  virtual torch::Tensor run_batch_norm(const Layer& layer, const torch::Tensor& input, double eps);
  virtual torch::Tensor run_batch_norm_of_batch(const Layer& layer, const torch::Tensor& input,
                                                double eps);
  /// A buffer of a BatchNorm as (1, channels, 1, 1): its running mean, or 1 / √(variance + eps).
  torch::Tensor running_mean(const Layer& layer);
  torch::Tensor running_scale(const Layer& layer, double eps);

 private:
  torch::Tensor entering(const Layer& layer, torch::Tensor input);
  torch::Tensor with_attachments(const Layer& layer, const torch::Tensor& input,
                                 torch::Tensor output);
  torch::Tensor with_companions(const Attachment& attachment, const Layer& layer,
                                const torch::Tensor& input, const torch::Tensor& output);

  const Blueprint& blueprint_;
  const Weights& weights_;
  std::optional<at::Generator> generator_;
  std::set<std::string> by_batch_;
  const Companions* companions_;
  bool by_companions_ = false;  ///< whether they are computed with now
  std::map<std::string, torch::Tensor> notes_, companion_notes_;
};

}  // namespace strata::models
