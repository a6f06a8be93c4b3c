#pragma once
/// \file
/// The configuration of the two architectures that Strata trains, as Hugging Face writes it in
/// config.json, and their units with their costs: ViLT for visual question answering (Kim, Son &
/// Kim, ICML 2021) and ViT for image classification (Dosovitskiy et al., ICLR 2021). No LibTorch
/// here: `strata inspect` and the planner use it.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/document.h"
#include "data/image_processor.h"
#include "models/peft_config.h"
#include "strata/core/safetensors.h"
#include "strata/core/unit.h"

namespace strata::models {

struct ImageModel;  // models/preprocessor_config.h

/// The fields of transformers' ViltConfig and ViTConfig that shape ViltForQuestionAnswering and
/// ViTForImageClassification; defaults are ViltConfig's. ViT has no text: what only text needs is
/// passed over.
struct TransformerConfig {
  std::string model_type = "vilt";  ///< or "vit"
  std::int64_t vocab_size = 30522;
  std::int64_t type_vocab_size = 2;
  std::int64_t modality_type_vocab_size = 2;
  std::int64_t max_position_embeddings = 40;
  std::int64_t hidden_size = 768;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t intermediate_size = 3072;
  double hidden_dropout_prob = 0.0;
  double attention_probs_dropout_prob = 0.0;
  double initializer_range = 0.02;
  /// How fresh weights are drawn (Transformer's constructor); not part of config.json.
  bool scaled_initialization = false;
  double layer_norm_eps = 1e-12;
  std::int64_t image_size = 384;
  std::int64_t patch_size = 32;
  std::int64_t num_channels = 3;
  bool qkv_bias = true;
  std::vector<std::string> labels;  ///< id2label in order of id: the answer vocabulary

  /// Of ViLT: at most so many patches of an image are read; negative: all. transformers draws them
  /// at random where there are more, so that an image with more is refused here.
  std::int64_t max_image_length = -1;

  PeftConfig peft;  ///< not part of config.json
  /// preprocessor_config.json; not part of config.json. Unset: the default for the model's sizes.
  std::optional<data::ImageProcessor> images = {};

  bool has_text() const { return model_type == "vilt"; }
  /// What the names of all weights but the classifier's begin with: "vilt." or "vit.".
  std::string prefix() const { return model_type + "."; }
  std::int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  /// Rows, and columns, of the patches of an image of image_size.
  std::int64_t grid() const { return image_size / patch_size; }
  /// What becomes of images before the model sees them.
  data::ImageProcessor image_processor() const;
  std::int64_t label_count() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t head_size() const { return hidden_size / num_attention_heads; }
};

/// Reads `config.json`. Keys of transformers' that do not concern us (architectures, torch_dtype,
/// …) are ignored, as a checkpoint from elsewhere may hold any; a field of ours with a wrong type
/// or range, a `model_type` other than vilt and vit, an activation other than gelu, or hidden_size
/// not divisible by heads or image_size by patch_size is an InputError that names it.
TransformerConfig read_transformer_config(const std::filesystem::path& file);
/// The configuration of a model folder: config.json, the image processor (preprocessor_config.h)
/// and, where there are, the files of peft_config.h.
TransformerConfig read_model_config(const std::filesystem::path& folder);
/// The part of it that the image processor must fit.
ImageModel image_model(const TransformerConfig& config);
/// Writes a config.json that `transformers` loads: every field above, architectures, model_type,
/// id2label, label2id.
void write_transformer_config(const TransformerConfig& config, const std::filesystem::path& file);
/// The `model.architecture` mapping of an experiment file (all keys optional but hidden_size,
/// layers, heads, image_size, patch_size): hidden_size, layers, heads, intermediate_size (default 4
/// ×), image_size, patch_size, max_text, dropout, initialization (huggingface or scaled),
/// initializer_range. Calls finish().
TransformerConfig transformer_config_from_yaml(ObjectReader reader);

struct WeightShape {
  std::string name;
  std::vector<std::int64_t> shape;
};
/// Name and shape of every weight of ViltForQuestionAnswering or ViTForImageClassification, in
/// transformers' order.
std::vector<WeightShape> base_weights(const TransformerConfig& config);
/// Those of the methods in `config.peft`, "…" being the prefix and "encoder.layer.N.":
/// - prompt_embeddings (prompt_length, hidden);
/// - …attention.attention.query.lora_A.weight (rank, in) and .lora_B.weight (out, rank), for every
///   target;
/// - …output.adapters.strata.adapter_down.0.weight (hidden / reduction, hidden) and .bias,
///   …output.adapters.strata.adapter_up.weight (hidden, hidden / reduction) and .bias.
std::vector<WeightShape> peft_weights(const TransformerConfig& config);
/// Both, the base weights first.
std::vector<WeightShape> transformer_weights(const TransformerConfig& config);

/// Checks that a checkpoint holds exactly the base weights of the configuration, in their shapes
/// and in a float type. `…position_ids` buffers, which older transformers wrote, are let pass.
/// @throws InputError naming the file and the missing, misshapen or unknown weight.
void check_transformer_weights(const SafetensorsFile& file, const TransformerConfig& config);

/// A file of PEFT weights in a model folder, and which it holds.
struct PeftWeights {
  std::string file;         ///< its name
  std::string config_file;  ///< that of the file that describes it
  std::vector<WeightShape> weights;
};
/// adapter_model.safetensors with LoRA's pairs, strata_adapters.safetensors with the others; each
/// where the model has any.
std::vector<PeftWeights> peft_weight_files(const TransformerConfig& config);
/// The same for a folder that may be of an earlier Strata, which wrote all to
/// adapter_model.safetensors. Each file is checked as check_transformer_weights does, under the
/// names there (see peft_file_names); a LoRA weight under both of its names must be the same.
std::vector<PeftWeights> check_peft_weights(const std::filesystem::path& folder,
                                            const TransformerConfig& config);

/// The units, bottom to top: "embeddings", then "prompt" if the scheme has it, one unit a block,
/// named after scheme and block ("adapter.3"), and "head" (final LayerNorm, pooler, classifier). No
/// weight is in two units; the scheme "block" on a model without PEFT weights holds every one.
///
/// A scheme says what the unit of a block holds: one kind, or several joined by '+', each once:
/// - block: all base weights of the block; not together with layernorm and bias, which it holds;
/// - layernorm: γ and β of the block's two LayerNorms;
/// - bias: the biases of its linear layers and LayerNorms (BitFit, Ben Zaken et al., ACL 2022);
/// - adapter: the block's adapter;
/// - lora: the block's LoRA pairs;
/// - prompt is not in a block: it adds the unit "prompt".
///
/// "adapter+layernorm" gives "adapter+layernorm.0", …; "lora+prompt" gives "prompt", "lora.0", ….
/// What is in no unit stays frozen.
///
/// Costs are for one sample of `text_tokens` tokens (0 for ViT) and a full image, fp32. S =
/// prompt_length + text_tokens + 1 + patches tokens, of which Q are computed in full (Q = S, but 1
/// in the last block: the classifier sees only one token), hidden size H, intermediate size I, A
/// heads, patch vectors of P numbers, bottleneck d = H / reduction, rank r; a LoRA pair works on t
/// = S (key, value) or Q tokens, from `in` to `out` numbers.
///
/// forward_flops: the matrix products with the unit's weights, 2 per multiply-add.
/// - block: 2·(2·S·H² + 2·Q·H² + 2·Q·H·I + 2·Q·S·H), with those within attention;
/// - adapter: 2·2·Q·H·d; lora: Σ 2·t·r·(in + out); layernorm, bias and prompt: 0;
/// - embeddings: 2·patches·P·H; head: 2·(H² + 2H² + 2H·labels), ViT's 2·H·labels.
///
/// activation_bytes: what autograd keeps within the block, the embeddings or the head when this
/// unit alone is trained. Of a block's unit, in numbers of 4 bytes, for the gradients of its
/// weights:
/// - a linear weight: its input, S·H, Q·H or Q·I, once for those that share it;
/// - a LoRA pair: the layer's input likewise, and t·r for A x; an adapter: Q·H + Q·d;
/// - a linear bias: nothing;
///
/// and for passing the gradient down to the lowest of them:
/// - LayerNorms, from the lowest trained one on: input and statistics, S·H + 2·S, then Q·H + 2·Q;
/// - attention: q, k, v and its weights, (Q + 2·S)·H + A·Q·S;
/// - activation functions: Q·I, and Q·d where the block has an adapter.
///
/// A whole block, so: 4·(4·S·H + 4·Q·H + 2·Q·I + A·Q·S + 2·S + 2·Q). Prompt: 0. Embeddings:
/// 4·(patches·P + text_tokens·(H + 2)) + 8·text_tokens, ViT's 4·patches·P. Head: 4·(9·H + 4), ViT's
/// 4·(2·H + 2).
/// @throws InputError for a scheme with an unknown or repeated kind, or one whose weights the model
/// lacks.
std::vector<Unit> transformer_units(const TransformerConfig& config, std::int64_t text_tokens,
                                    const std::string& scheme = "block");

/// What it takes to train some weights of a model, for one sample and in float32.
struct TrainingCost {
  std::int64_t parameters = 0;      ///< trained
  std::int64_t all_parameters = 0;  ///< of the model
  double forward_flops = 0;         ///< of the whole model
  double backward_flops = 0;        ///< back-propagation stops at the lowest trained weight
  double activation_bytes = 0;      ///< kept from the forward pass for the backward pass
  double working_bytes = 0;         ///< what one block's forward pass holds besides

  /// 10⁶ bits of the trained weights one way, 32 bits each.
  double mbit() const { return 32e-6 * static_cast<double>(parameters); }
  /// An estimate of the peak with AdamW: all weights, gradient and two moments of the trained ones,
  /// and the activations of a batch.
  double peak_bytes(std::int64_t batch) const;
};
/// FLOPs are those of matrix products, as in transformer_units. A layer costs its forward product
/// once more if the gradient goes on below it, and once more if its weight is trained; the two
/// products within attention cost theirs twice if the gradient goes on. Activations are those of
/// transformer_units, with the gradient passed on through every block above the lowest trained
/// weight; a head that is not trained keeps 4·(6·H + 4), ViT's 4·(H + 2). Working: the residual
/// stream and the larger of a branch's numbers, 4·(2·S·H + max(3·S·H + A·Q·S, 2·Q·I)) of the first
/// block. Names that the model does not have are passed over.
TrainingCost training_cost(const TransformerConfig& config, std::int64_t text_tokens,
                           const std::set<std::string>& trained);

}  // namespace strata::models
