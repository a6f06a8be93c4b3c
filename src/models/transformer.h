#pragma once
/// \file
/// ViLT for visual question answering in LibTorch, weight for weight transformers'
/// ViltForQuestionAnswering: text and patch embeddings with modality types, pre-LN blocks, pooler,
/// two-layer classifier.

#include "models/torch.h"

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/transformer_config.h"

namespace strata {

/// A captured elementary operation with parameters, for per-sample gradients (see ntk/). `input` is
/// what the parameters act on and `output` the result, in whose gradient δ the per-sample parameter
/// gradient is a contraction:
///   kLinear     output = input · Wᵀ + b      ∂/∂W = Σₜ δₜ inputₜᵀ, ∂/∂b = Σₜ δₜ
///   kNorm       output = input ⊙ γ + β       ∂/∂γ = Σₜ δₜ ⊙ inputₜ, ∂/∂β = Σₜ δₜ (input is the
///   normalised x̂) kEmbedding  output = … + W[input]        ∂/∂W[r] = Σ over the t with inputₜ = r
///   of δₜ kAdded      output = … + W               ∂/∂W = δ: W has the output's shape per sample
/// The dimensions before the last flatten to n·T rows, those of a sample together; kEmbedding's
/// input is int64 (n, T), kAdded's undefined.
struct CapturedOp {
  enum class Kind { kLinear, kNorm, kEmbedding, kAdded } kind;
  std::string weight, bias;  ///< parameter names; bias may be empty
  torch::Tensor input, output;
};

/// The captured operations of one unit, and the tensor through which everything below reaches it.
struct CapturedUnit {
  std::string unit;
  /// The unit's input where it is part of the autograd graph (undefined for the lowest captured
  /// unit). Units form a chain: the gradient with respect to `input` is all that lower units need.
  torch::Tensor input;
  std::vector<CapturedOp> ops;
};

/// One batch. Images are float, already normalised.
struct Batch {
  torch::Tensor input_ids;       ///< int64 (n, T)
  torch::Tensor attention_mask;  ///< float (n, T): 1 for tokens, 0 for padding
  torch::Tensor pixels;          ///< float (n, 3, image_size, image_size)
  torch::Tensor labels;          ///< int64 (n)
  std::int64_t size() const { return input_ids.size(0); }
};

/// The model: a configuration and named weights. No torch::nn::Module: selecting, freezing,
/// averaging and saving are all by weight name, and the forward pass is one function.
class Transformer {
 public:
  /// Fresh weights, drawn on the CPU from `seed`, the same for every thread count and device.
  /// Biases are 0 and LayerNorm weights 1. By default as transformers has it: N(0,
  /// initializer_range²) for matrices and embeddings, 0 for the cls token and image positions. With
  /// `scaled_initialization`, for small models trained from scratch: Xavier-uniform matrices
  /// (Glorot & Bengio 2010), the two that end a residual branch divided by √(2·layers) (Radford et
  /// al. 2019), and N(0, 0.5²) for embeddings, positions and cls token, so that attention can tell
  /// tokens apart from the first step.
  Transformer(TransformerConfig config, std::uint64_t seed, torch::Device device = torch::kCPU);
  /// From `config.json` and `model.safetensors` in a folder. Float types are converted to float32.
  /// @throws InputError naming a missing, misshapen or unknown weight (position_ids buffers are
  /// allowed).
  static Transformer load(const std::filesystem::path& folder, torch::Device device = torch::kCPU);
  /// Writes config.json and model.safetensors (weights in name order of transformer_weights).
  void save(const std::filesystem::path& folder) const;

  const TransformerConfig& config() const { return config_; }
  torch::Device device() const { return device_; }
  const std::vector<Unit>& units() const { return units_; }
  const Unit& unit(const std::string& name) const;  ///< @throws InputError with the nearest name

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

  /// Logits (n, labels). `training` applies dropout where the configuration has any.
  torch::Tensor forward(const Batch& batch, bool training = false) const;

  /// Forward pass that records every parameterised operation of the units asked for (all when
  /// empty), bottom to top. Weights are taken as constants; each recorded `output` is part of the
  /// autograd graph of the returned logits, so that torch::autograd::grad(logits[:,k].sum(),
  /// outputs) gives every δ. A weight may be used by several operations: its gradient is their sum.
  torch::Tensor forward_captured(const Batch& batch, const std::vector<std::string>& unit_names,
                                 std::vector<CapturedUnit>& captured) const;

  /// SHA-256 over names and bytes of all weights.
  std::string fingerprint() const;

 private:
  struct Pass;
  Transformer() = default;
  torch::Tensor run(const Batch& batch, Pass& pass) const;

  TransformerConfig config_;
  torch::Device device_ = torch::kCPU;
  std::vector<Unit> units_;
  std::map<std::string, torch::Tensor> weights_;
};

}  // namespace strata
