#pragma once
/// \file
/// Examples as tensors: images decoded and resized once, questions as token ids, answers as label
/// ids.

#include "models/torch.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/manifest.h"
#include "data/wordpiece.h"
#include "models/transformer.h"

namespace strata {

/// A data set ready to be batched. Images are kept as uint8 and shared by their questions.
class VqaTensors {
 public:
  /// Encodes the examples `indices` of the manifest: every image is decoded (in parallel) and
  /// resized to the model's image_size; questions are cut to its max_position_embeddings. An
  /// example whose answers are all outside the labels is an InputError naming the example, the
  /// answer and the nearest label; with several accepted answers the first that is a label is the
  /// target. ViT reads no questions: they are passed over, and so is the tokenizer.
  VqaTensors(const Manifest& manifest, const std::vector<int>& indices,
             const TransformerConfig& config, const WordPiece& tokenizer);

  std::int64_t size() const { return labels_.size(0); }
  /// Pixels are scaled to [-1, 1] (mean and std 0.5, as ViltImageProcessor). Text is padded to the
  /// longest of the batch. `flips`, when given, has one entry in 0..3 a row: bit 0 mirrors
  /// left-right, bit 1 up-down.
  Batch batch(const std::vector<std::int64_t>& rows, torch::Device device,
              const std::vector<int>& flips = {}) const;
  const std::vector<bool>& closed() const { return closed_; }
  std::int64_t label(std::int64_t row) const;
  /// Whether `label` is one of the accepted answers of the row.
  bool accepts(std::int64_t row, std::int64_t label) const;
  /// The longest encoded question, in tokens; 0 for ViT.
  std::int64_t max_tokens() const { return input_ids_.defined() ? input_ids_.size(1) : 0; }

 private:
  torch::Tensor images_;       // uint8 (images, 3, S, S)
  torch::Tensor image_index_;  // int64 (n)
  torch::Tensor input_ids_;    // int64 (n, T); undefined without text
  torch::Tensor lengths_;      // int64 (n); undefined without text
  torch::Tensor labels_;       // int64 (n)
  std::vector<bool> closed_;
  std::vector<std::vector<std::int64_t>> accepted_;
};

/// The tokenizer of a model folder: vocab.txt, and do_lower_case from tokenizer_config.json if
/// there. Of a ViT, which reads no text: one of the special tokens alone.
WordPiece load_tokenizer(const std::filesystem::path& model_folder);
/// vocab.txt, tokenizer_config.json and preprocessor_config.json beside the weights; for ViT the
/// last alone.
void save_tokenizer(const WordPiece& tokenizer, const TransformerConfig& config,
                    const std::filesystem::path& model_folder);

}  // namespace strata
