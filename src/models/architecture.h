#pragma once
/// \file
/// A kind of model: its layers, and its forward pass, written once. One file an architecture in
/// architectures/. LibTorch's types are only named here.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/layer.h"
#include "models/preprocessor_config.h"

namespace strata::models {

struct Batch;
struct State;
class Pass;

/// How a model with a language model is asked.
struct Speech {
  std::int64_t image_token = 0;   ///< stands in a prompt's ids where an image does
  std::int64_t image_tokens = 0;  ///< so many times; 0: the image is no part of the text
  std::int64_t end_token = 0;     ///< behind an answer
  /// A question's prompt: {question} stands for its text, <image> for an image that is part of it.
  std::string prompt;
  /// Whether a text gets the tokenizer's special tokens around it.
  bool special_tokens = true;
  bool image_first = false;  ///< before these, not within the text
  /// Of one whose images may be cut into tiles: what a prompt has in the place of an image with all
  /// that marks it, with <image> for each tile and for the whole. An image of one tile has the
  /// form that `prompt` may spell out.
  std::function<std::string(const data::TileGrid&)> image_text = {};
  std::int64_t words_stage = 0;  ///< that tokens enter which follow others
  /// Of one whose decoder answers what its encoder has read: the token before an answer's first.
  std::optional<std::int64_t> decoder_start = {};
  /// Questions are asked in small letters, without punctuation, as ALBEF's program has them.
  bool plain_questions = false;
};

/// Immutable: models of any number share one.
class Architecture {
 public:
  virtual ~Architecture() = default;

  /// `model_type` in config.json.
  virtual const std::string& type() const = 0;
  /// Bottom to top: what turns the input into vectors, the blocks, the head.
  const std::vector<Stage>& stages() const { return stages_; }
  /// All layers with parameters, in the order of transformers' state_dict, and the places without
  /// any (kSequence, kBlock) beside which a method may stand.
  const std::vector<Layer>& layers() const { return layers_; }
  /// What the outputs stand for, in their order. None of one that answers in words, and of an
  /// encoder without a head, whose outputs are features.
  const std::vector<std::string>& labels() const { return labels_; }

  /// Stage `stage` of the forward pass; every operation with parameters goes through `pass`. The
  /// first stage takes an empty state, the last leaves kLogits.
  virtual State run(std::int64_t stage, const Batch& batch, const State& input,
                    Pass& pass) const = 0;
  /// A batch of one sample in the model's own image size, all zeros, with so many text tokens.
  virtual Batch example(std::int64_t text_tokens) const = 0;

  /// config.json as transformers loads it.
  virtual Json config() const = 0;
  virtual ImageModel image_model() const = 0;
  /// At most so many patches of an image are read; negative: all.
  virtual std::int64_t most_patches() const { return -1; }
  /// The longest text in tokens; 0 where the model reads none.
  virtual std::int64_t text_tokens() const { return 0; }
  virtual std::int64_t vocabulary_size() const { return 0; }
  /// Of one that answers in words, and then has no labels, or that chose among labels in their
  /// place: none of any other.
  virtual std::optional<Speech> speech() const { return std::nullopt; }
  /// Whether it answers in words: one that speaks with a classifier's head chooses among labels.
  bool answers_in_words() const { return labels_.empty() && speech().has_value(); }

  /// Whether a model of it is written under the names that its files had, all of which transformers
  /// reads, and not under those of the layers.
  virtual bool keeps_file_names() const { return false; }
  /// What the names of tensors in its files begin with that are none of its weights.
  virtual std::vector<std::string> passed_over() const { return {}; }
  /// Weights that need not be in the model folder's own files.
  virtual std::optional<LentWeights> lent_weights() const { return std::nullopt; }
  /// The same as files have it that hold the tensors for which `has` is true: with the layers that
  /// they lack left out, where it can do without. nullptr where that is the same.
  virtual std::shared_ptr<const Architecture> as_stored(
      const std::function<bool(const std::string&)>&) const {
    return nullptr;
  }
  /// The same with other labels and, where it reads text and has no language model, another number
  /// of words. One that answers in words gets a classifier's head in place of the words'.
  virtual std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                                   std::int64_t vocabulary_size) const = 0;
  /// Whether it makes masks of images (kMaskLogits), and not one output a sample.
  virtual bool segments() const { return false; }

  /// The same for images of another size, whose positions (Part::kPositions) have other shapes.
  /// nullptr where the architecture has no such freedom. @throws InputError: the size is no whole
  /// number of patches
  virtual std::shared_ptr<const Architecture> with_image_size(std::int64_t) const {
    return nullptr;
  }

 protected:
  std::vector<Stage> stages_;
  std::vector<Layer> layers_;
  std::vector<std::string> labels_;
};

}  // namespace strata::models
