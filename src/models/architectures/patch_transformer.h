#pragma once
/// \file
/// What ViLT and ViT share: images as patches with a class token and positions, and pre-LN
/// transformer blocks. LibTorch's types are only named here.

#include <cstdint>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/architecture.h"
#include "models/architectures/layer_list.h"

namespace at {
class Tensor;
}

namespace strata::models {

/// Fields of transformers' ViltConfig and ViTConfig.
struct PatchTransformerConfig {
  std::string model_type;
  std::int64_t hidden_size = 768;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t intermediate_size = 3072;
  double hidden_dropout_prob = 0.0;
  double attention_probs_dropout_prob = 0.0;
  double initializer_range = 0.02;
  /// How fresh weights are drawn; not part of config.json. By default as transformers has it: N(0,
  /// initializer_range²) for matrices and embeddings, biases 0, LayerNorm weights 1. Scaled, for
  /// small models trained from scratch: Xavier-uniform matrices (Glorot & Bengio 2010), the two
  /// that end a residual branch divided by √(2·layers) (Radford et al. 2019), and N(0, 0.5²) for
  /// embeddings, positions and cls token, so that attention can tell tokens apart from the first
  /// step.
  bool scaled_initialization = false;
  double layer_norm_eps = 1e-12;
  std::int64_t image_size = 384;
  std::int64_t patch_size = 32;
  std::int64_t num_channels = 3;
  bool qkv_bias = true;
  bool patch_bias = true;           ///< of the convolution over patches; timm's alone may lack it
  bool quick_gelu = false;          ///< x · σ(1.702 x) in place of GELU: timm's alone
  std::vector<std::string> labels;  ///< id2label in order of id

  /// Rows, and columns, of the patches of an image of image_size.
  std::int64_t grid() const { return image_size / patch_size; }
  std::int64_t patches() const { return grid() * grid(); }
  std::int64_t head_size() const { return hidden_size / num_attention_heads; }
};

/// The keys of both in config.json but the labels, beginning from `config`'s values. @throws
/// InputError naming key, value and range: an activation other than gelu, hidden_size not divisible
/// by heads or image_size by patch_size, …
void read_patch_transformer(ObjectReader& reader, PatchTransformerConfig& config);
/// The keys of both in `model.architecture`: hidden_size, layers, heads, intermediate_size (default
/// 4 ×), image_size, patch_size, dropout, initialization (huggingface or scaled),
/// initializer_range; all but hidden_size, layers, heads and the sizes of images are optional.
void patch_transformer_from_yaml(ObjectReader& reader, PatchTransformerConfig& config);

class PatchTransformer : public Architecture {
 public:
  const std::string& type() const override { return shared_.model_type; }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override;

 protected:
  /// Stages and layers are for the subclass to declare.
  explicit PatchTransformer(PatchTransformerConfig config);

  virtual State run_embeddings(const Batch& batch, Pass& pass) const = 0;
  virtual at::Tensor run_head(const at::Tensor& first, Pass& pass) const = 0;

  ImageModel images_of(ImageSizes sizes) const;

  // Stages and layers, bottom to top.
  LayerList& declared() { return declared_; }
  Layer& add_linear(const std::string& name, std::int64_t out, std::int64_t in,
                    bool ends_branch = false, bool bias = true) {
    return declared_.add_linear(name, out, in, matrix(out, in, ends_branch), bias);
  }
  Layer& add_table(const std::string& name, std::int64_t rows) {
    return declared_.add_table(name, rows, shared_.hidden_size, embedding());
  }
  Layer& add_tokens(const std::string& name, std::int64_t count, Init init) {
    return declared_.add_tokens(name, {1, count, shared_.hidden_size}, init);
  }
  Layer& add_projection();
  Layer& add_place(const std::string& name, LayerKind kind) {
    return declared_.add_place(name, kind, shared_.hidden_size);
  }
  /// A stage each. With `two_names`, as transformers has them before and since 5.9.
  void add_blocks(bool two_names);

  /// Numbers in a patch of an image.
  std::int64_t patch_numbers() const {
    return shared_.num_channels * shared_.patch_size * shared_.patch_size;
  }
  Init matrix(std::int64_t out, std::int64_t in, bool ends_branch) const;
  Init embedding() const;

  /// (n, 1 + patches, hidden): the class token and the patches with their positions, to which
  /// `modality`, where it is defined, is added.
  at::Tensor run_image(const Batch& batch, const at::Tensor& modality, Pass& pass) const;
  /// The state that enters the first block: rows (n·tokens, hidden) of all tokens, those of a
  /// sample together, and the mask (n, tokens) that is added to attention scores: 0 for tokens, the
  /// lowest finite number for the padding of the text, which stands after the tokens of
  /// attachments, and of the image, which ends the row.
  State entered(const Batch& batch, const at::Tensor& rows, Pass& pass) const;
  /// The keys of config.json that both have.
  Json shared_config(const char* class_name) const;

  /// "vilt.", and so on: what the names of all weights but the classifier's begin with.
  std::string prefix() const { return shared_.model_type + "."; }
  const PatchTransformerConfig& shared() const { return shared_; }

 private:
  State run_block(std::int64_t block, const Batch& batch, const State& input, Pass& pass) const;

  PatchTransformerConfig shared_;
  LayerList declared_{stages_, layers_};
};

}  // namespace strata::models
