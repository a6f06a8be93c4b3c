#pragma once
/// \file
/// ViLT for visual question answering and ViT for image classification in LibTorch, weight for
/// weight transformers' ViltForQuestionAnswering (text and patch embeddings with modality types,
/// pre-LN blocks, pooler, two-layer classifier) and ViTForImageClassification (patch embeddings,
/// the same blocks, one linear layer), with adapters, LoRA and prompts beside them (peft_config.h).

#include "models/torch.h"

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/transformer_config.h"

namespace strata::models {

/// A captured elementary operation with parameters, for per-sample gradients (see ntk/). `input` is
/// what the parameters act on and `output` the result, in whose gradient δ the per-sample parameter
/// gradient is a contraction:
/// - kLinear: output = input · Wᵀ + b; ∂/∂W = Σₜ δₜ inputₜᵀ, ∂/∂b = Σₜ δₜ.
/// - kNorm: output = input ⊙ γ + β, the input being the normalised x̂; ∂/∂γ = Σₜ δₜ ⊙ inputₜ,
///   ∂/∂β = Σₜ δₜ.
/// - kEmbedding: output = … + W[input]; ∂/∂W[r] = Σ over the t with inputₜ = r of δₜ.
/// - kMixture: output = … + input · W, the rows of a table mixed, as where positions are
///   interpolated; ∂/∂W = Σₜ inputₜᵀ δₜ.
/// - kAdded: output = … + W, W having the output's shape per sample; ∂/∂W = δ.
/// The dimensions before the last flatten to n·T rows, those of a sample together; kEmbedding's
/// input is int64 (n, T), kMixture's (n, T, rows of W), kAdded's undefined.
struct CapturedOp {
  enum class Kind { kLinear, kNorm, kEmbedding, kMixture, kAdded } kind;
  std::string weight, bias;  ///< names of those that were asked for; the other is empty
  torch::Tensor input;       ///< undefined where `weight` is empty: the bias needs δ alone
  torch::Tensor output;
};

/// One batch. Images are float, already normalised, and stand in the upper left corners of their
/// part of `pixels`, whose sides are those of the largest, rounded up to patches.
struct Batch {
  torch::Tensor input_ids;       ///< int64 (n, T); undefined for ViT
  torch::Tensor attention_mask;  ///< float (n, T): 1 for tokens, 0 for padding; undefined for ViT
  torch::Tensor pixels;          ///< float (n, 3, height, width)
  torch::Tensor labels;          ///< int64 (n)
  /// int64 (n, 2) on the CPU: rows and columns of each image's patches; all else of `pixels` is
  /// never read. Undefined where all images have the configuration's grid, as ViT's must.
  torch::Tensor grids = {};
  std::int64_t size() const { return pixels.size(0); }
};

/// The model: a configuration, named weights, and a division of them into units. No
/// torch::nn::Module: selecting, freezing, averaging and saving are all by weight name, and the
/// forward pass is one function.
class Transformer {
 public:
  /// Fresh weights, drawn on the CPU from `seed`, the same for every thread count and device.
  /// Biases are 0 and LayerNorm weights 1. By default as transformers has it: N(0,
  /// initializer_range²) for matrices and embeddings, 0 for ViLT's cls token and image positions.
  /// With `scaled_initialization`, for small models trained from scratch: Xavier-uniform matrices
  /// (Glorot & Bengio 2010), the two that end a residual branch divided by √(2·layers) (Radford et
  /// al. 2019), and N(0, 0.5²) for embeddings, positions and cls token, so that attention can tell
  /// tokens apart from the first step. PEFT weights are drawn as their libraries do: N(0, 0.02²)
  /// for adapters' matrices and prompts, Kaiming-uniform with a = √5 (bound 1/√in) for LoRA's A and
  /// 0 for its B. Every weight's numbers follow from the seed and its name alone.
  Transformer(TransformerConfig config, std::uint64_t seed, torch::Device device = torch::kCPU);
  /// From `config.json` and `model.safetensors` in a folder and, where there are, the files of
  /// peft_config.h. Float types are converted to float32.
  /// @throws InputError naming a missing, misshapen or unknown weight (position_ids buffers are
  /// allowed).
  static Transformer load(const std::filesystem::path& folder, torch::Device device = torch::kCPU);
  /// Writes config.json, preprocessor_config.json and model.safetensors, which hold the base model
  /// as transformers loads it (weights in the order of base_weights), and the PEFT weights to the
  /// files of peft_config.h; where the model has none, such files of an earlier model are removed.
  void save(const std::filesystem::path& folder) const;

  /// Adds the methods of `peft` with fresh weights, drawn as by the constructor. The units stay
  /// what they are until set_units. @throws InputError where the model has one of the methods
  /// already.
  void add_peft(const PeftConfig& peft, std::uint64_t seed);

  const TransformerConfig& config() const { return config_; }
  torch::Device device() const { return device_; }
  /// At first those of the scheme "block"; set_units takes another (see transformer_units).
  /// @throws InputError for a scheme that the model cannot have
  const std::vector<Unit>& units() const { return units_; }
  void set_units(const std::string& scheme);
  const Unit& unit(const std::string& name) const;  ///< @throws InputError with the nearest name

  /// All weights by name. Like `weight`, which throws std::out_of_range for an unknown name.
  const std::map<std::string, torch::Tensor>& weights() const { return weights_; }
  torch::Tensor& weight(const std::string& name);
  const torch::Tensor& weight(const std::string& name) const;
  std::vector<torch::Tensor> weights_of(const Unit& unit) const;

  /// requires_grad exactly for the weights of the named units. Autograd then records nothing below
  /// the lowest of them, and back-propagation stops there.
  void train_only(const std::vector<std::string>& unit_names);

  /// Copies of all weights (detached), and back into the same tensors (an optimizer that holds them
  /// stays valid). @throws std::out_of_range for an unknown name.
  std::map<std::string, torch::Tensor> state() const;
  void load_state(const std::map<std::string, torch::Tensor>& state);
  /// The same model with weights of its own; a copy by `=` shares them.
  Transformer clone() const;

  /// Logits (n, labels). With `dropout`, a generator of the model's device (make_generator),
  /// dropout is drawn from it where the configuration has any. It is the composition of all stages.
  torch::Tensor forward(const Batch& batch, const std::optional<at::Generator>& dropout = {}) const;

  /// The model is a chain of stages: 0 the embeddings, 1 … layers the blocks, layers + 1 the head.
  /// All that a stage takes from those below is one tensor, its input: the rows (n·tokens, hidden)
  /// of all tokens (prompts, text, image), those of a sample together, or for the head (n, hidden),
  /// as the last block computes only the token that the classifier reads.
  std::int64_t stage_count() const { return config_.num_hidden_layers + 2; }

  /// The stage's output without dropout: the next stage's input, or the logits (n, labels) of the
  /// last. `input` is undefined for stage 0.
  torch::Tensor run_stage(std::int64_t stage, const Batch& batch, const torch::Tensor& input) const;

  /// run_stage that also appends to `ops` every operation with a weight or bias out of `weights`,
  /// in the order of computation; names of other stages' weights are passed over. All weights are
  /// taken as constants. What is returned belongs to an autograd graph, also where gradients are
  /// switched off, that begins at `input` if that requires a gradient, and at the recorded outputs:
  /// with X the returned tensor, torch::autograd::grad({X}, {op.output, …, input}, {G}) gives the
  /// δ's and what the stage below goes on with. Where the input requires none, every recorded
  /// output that depends on no earlier one is a leaf. A weight may be used by several operations:
  /// its gradient is their sum; operations may share one output tensor.
  torch::Tensor capture_stage(std::int64_t stage, const Batch& batch, const torch::Tensor& input,
                              const std::set<std::string>& weights,
                              std::vector<CapturedOp>& ops) const;

  /// The lowest stage that uses a weight. @throws InputError with the nearest name
  std::int64_t stage_of(const std::string& weight) const;

  /// SHA-256 over names and bytes of all weights.
  std::string fingerprint() const;

 private:
  struct Pass;
  Transformer() = default;
  Pass make_pass(const std::optional<at::Generator>& dropout = {}) const;
  torch::Tensor run(std::int64_t stage, const Batch& batch, const torch::Tensor& input,
                    Pass& pass) const;
  void draw_weights(const std::vector<WeightShape>& weights, std::uint64_t seed);
  torch::Tensor run_embeddings(const Batch& batch, Pass& pass) const;
  torch::Tensor run_text(const Batch& batch, Pass& pass) const;
  torch::Tensor run_image(const Batch& batch, Pass& pass) const;
  torch::Tensor run_block(std::int64_t block, const Batch& batch, const torch::Tensor& input,
                          Pass& pass) const;
  torch::Tensor run_head(const torch::Tensor& input, Pass& pass) const;

  TransformerConfig config_;
  torch::Device device_ = torch::kCPU;
  std::vector<Unit> units_;
  std::map<std::string, torch::Tensor> weights_;
};

}  // namespace strata::models
