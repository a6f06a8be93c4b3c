#pragma once
/// \file
/// Examples as tensors: images as pixels, texts as token ids, and what a task wants of a model for
/// them.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/image_store.h"
#include "data/manifest.h"
#include "data/text/tokenizer.h"
#include "data/text/wordpiece.h"
#include "models/batch.h"
#include "models/blueprint.h"
#include "models/torch.h"

namespace strata::tasks {

class Task;

/// Of which examples a data set is made, and for what model.
struct Source {
  const data::Manifest& manifest;
  const models::Blueprint& blueprint;
  const data::WordPiece& tokenizer;  ///< not used for a model that reads no text
  /// Examples whose truth the model cannot give ("unseen") are an error; or else those of the
  /// training split are left out, their images, too, and all others are kept and count as wrong.
  bool drop_unseen = false;
  /// Images are added to it, and it is for its owner to load; nullptr: a store of the data set's
  /// own, which is loaded when the data set is made.
  std::shared_ptr<data::ImageStore> images = nullptr;
  /// Of a model with a language model (Architecture::speech), and its alone.
  std::shared_ptr<const data::Tokenizer> language = nullptr;
  std::string prompt = {};  ///< likewise; empty: the model's own
};

/// Whose log-likelihoods are the outputs of a model that speaks.
struct AnswerChoice {
  std::vector<std::string> answers = {};  ///< empty: the most frequent first answers of the data
  std::int64_t most = 8;                  ///< of these; equally frequent ones by their bytes
};

/// How a row is varied in training.
struct Variation {
  int flips = 0;  ///< bit 0 mirrors left-right, bit 1 up-down
  /// Of the task's own variation, where it has one.
  std::optional<std::uint64_t> seed = {};
};

/// A task's examples, ready to be batched: made by Task::encode. Images are bytes, shared by all
/// examples that show them and, in an ImageStore, by several data sets.
class Dataset {
 public:
  virtual ~Dataset() = default;

  const Task& task() const { return *task_; }
  std::int64_t size() const { return static_cast<std::int64_t>(examples_.size()); }
  /// Unseen examples, of how many: left out of `size()` in training, counted in it otherwise.
  std::int64_t unseen() const { return unseen_; }
  std::int64_t asked() const { return asked_; }
  /// Pixels are scaled and normalised as the model's image processor says. Text is padded to the
  /// longest of the batch, images to the largest. `variations`, when given, has one entry a row.
  /// @throws InputError for an image that does not decode or that the model cannot read.
  virtual models::Batch batch(const std::vector<std::int64_t>& rows, torch::Device device,
                              const std::vector<Variation>& variations = {}) const;
  /// The same for Task::outputs: of a model that speaks with the answers of choice in place of the
  /// rows' own, the same for each row.
  virtual models::Batch outputs_batch(const std::vector<std::int64_t>& rows, torch::Device device,
                                      const AnswerChoice&) const {
    return batch(rows, device);
  }
  /// The longest encoded text, in tokens; 0 where there is none.
  virtual std::int64_t max_tokens() const { return input_ids_.defined() ? input_ids_.size(1) : 0; }
  /// Whether the row has a loss: a kept example whose truth the model cannot give has none.
  virtual bool has_target(std::int64_t row) const = 0;
  /// What the row was made of.
  const data::Example& example(std::int64_t row) const {
    return examples_.at(static_cast<std::size_t>(row));
  }

 protected:
  Dataset(std::shared_ptr<const Task> task, const Source& source);
  /// Takes the example's image and its text's tokens, none where the model reads no text, as the
  /// next row.
  void add(const data::Example& example, std::vector<std::int64_t> ids);
  /// A row whose pixels a data set has itself.
  void add_row(const data::Example& example) { examples_.push_back(example); }
  /// How the example's image is cut into tiles, where the model's are. @throws InputError
  std::optional<data::TileGrid> tiles_of(const data::Example& example) const;
  /// After the last one.
  void finish(const Source& source);
  /// What the model is to give for rows, as Batch::labels.
  virtual torch::Tensor targets(const torch::Tensor& rows) const = 0;
  /// Adds to a batch of these rows what else it needs.
  virtual void complete(models::Batch&, const std::vector<std::int64_t>&) const {}
  /// (v · rescale_factor - mean) / std of every channel, which is the third dimension from behind.
  static torch::Tensor normalised(const torch::Tensor& images,
                                  const data::ImageProcessor& processor);

  std::int64_t unseen_ = 0, asked_ = 0;

 private:
  torch::Tensor grids_of(const std::vector<data::StoredImage>& images) const;

  std::shared_ptr<const Task> task_;
  std::vector<data::Example> examples_;
  std::shared_ptr<data::ImageStore> images_;
  std::int64_t patch_size_, grid_;                  // the model's
  std::vector<std::size_t> image_index_;            // of each row, in images_
  std::vector<std::vector<std::int64_t>> encoded_;  // until finish()
  torch::Tensor input_ids_;                         // int64 (n, T); undefined without text
  torch::Tensor lengths_;                           // int64 (n); undefined without text
};

/// One line on stderr with the unseen examples of each of `sets` (a client's name, or "", and its
/// examples) and what became of them; nothing where there are none.
void log_unseen(const std::vector<std::pair<std::string, const Dataset*>>& sets,
                const std::string& what_became);

}  // namespace strata::tasks
