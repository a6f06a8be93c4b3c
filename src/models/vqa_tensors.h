#pragma once
/// \file
/// Examples as tensors: images as pixels, questions as token ids, answers as label ids.

#include "models/torch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/image_store.h"
#include "data/manifest.h"
#include "data/text/wordpiece.h"
#include "models/batch.h"
#include "models/blueprint.h"

namespace strata::models {

/// The target of a kept test example whose answers are all outside the labels: what
/// torch::cross_entropy_loss passes over, with a loss of 0 and outside of the mean.
inline constexpr std::int64_t kNoTarget = -100;

/// A data set ready to be batched. Images are bytes, shared by their questions and, in an
/// ImageStore, by several data sets.
class VqaTensors {
 public:
  /// Encodes the examples `indices` of the manifest: their images are added to `images`, which
  /// processes them for the model and is for its owner to load, or loaded here where there is none;
  /// questions are cut to its longest text. With several accepted answers the first that
  /// is a label is the target. A model without text reads no questions:
  /// they are passed over, and so is the tokenizer.
  ///
  /// Examples whose answers are all outside the labels ("unseen") are an error; with `drop_unseen`
  /// those of the training split are left out, their images, too, and all others are kept without a
  /// target and accept no label. @throws InputError naming the example, the answer and the nearest
  /// label; with `drop_unseen` where none of the `indices` is left.
  VqaTensors(const data::Manifest& manifest, const std::vector<int>& indices,
             const Blueprint& blueprint, const data::WordPiece& tokenizer, bool drop_unseen = false,
             std::shared_ptr<data::ImageStore> images = nullptr);

  std::int64_t size() const { return labels_.size(0); }
  /// Unseen examples, of how many: left out of `size()` in training, counted in it otherwise.
  std::int64_t unseen() const { return unseen_; }
  std::int64_t asked() const { return asked_; }
  /// Pixels are scaled and normalised as the model's image processor says. Text is padded to the
  /// longest of the batch, images to the largest. `flips`, when given, has one entry in 0..3 a row:
  /// bit 0 mirrors left-right, bit 1 up-down. @throws InputError for an image that does not decode
  /// or that the model cannot read.
  Batch batch(const std::vector<std::int64_t>& rows, torch::Device device,
              const std::vector<int>& flips = {}) const;
  const std::vector<bool>& closed() const { return closed_; }
  /// The target, or kNoTarget.
  std::int64_t label(std::int64_t row) const;
  /// Whether `label` is one of the accepted answers of the row.
  bool accepts(std::int64_t row, std::int64_t label) const;
  /// The longest encoded question, in tokens; 0 where there is no text.
  std::int64_t max_tokens() const { return input_ids_.defined() ? input_ids_.size(1) : 0; }

 private:
  torch::Tensor grids_of(const std::vector<data::StoredImage>& images) const;

  std::shared_ptr<data::ImageStore> images_;
  std::int64_t patch_size_, grid_;        // the model's
  std::vector<std::size_t> image_index_;  // of each row, in images_
  torch::Tensor input_ids_;               // int64 (n, T); undefined without text
  torch::Tensor lengths_;                 // int64 (n); undefined without text
  torch::Tensor labels_;                  // int64 (n)
  std::vector<bool> closed_;
  std::vector<std::vector<std::int64_t>> accepted_;
  std::int64_t unseen_ = 0, asked_ = 0;
};

/// One line on stderr with the unseen examples of each of `sets` (a client's name, or "", and its
/// examples) and what became of them; nothing where there are none.
void log_unseen(const std::vector<std::pair<std::string, const VqaTensors*>>& sets,
                const std::string& what_became);

}  // namespace strata::models
