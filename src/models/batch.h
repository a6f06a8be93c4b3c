#pragma once
/// \file
/// What goes into a model, and what goes from stage to stage within it.

#include <map>
#include <string>

#include "models/torch.h"

namespace strata::models {

/// One batch. Images are float, already normalised, and stand in the upper left corners of their
/// part of `pixels`, whose sides are those of the largest, rounded up to patches.
struct Batch {
  torch::Tensor input_ids;       ///< int64 (n, T); undefined where the model reads no text
  torch::Tensor attention_mask;  ///< float (n, T): 1 for tokens, 0 for padding; likewise
  /// float (n, 3, height, width), or (n, slices, 3, height, width) where a sample is several images
  /// of which a model that segments makes masks, or an image in tiles, of which its text has as
  /// many as it has tokens for, the rest being padding; undefined where a text goes on.
  torch::Tensor pixels;
  /// What the task wants (tasks/): int64 (n), or float (n, labels) where each may be right; of
  /// words int64 (n, K, L), the tokens of K texts, each asked for by one of `outputs`, in their
  /// order.
  torch::Tensor labels;
  /// int64 (n, 2) on the CPU: rows and columns of each image's patches; all else of `pixels` is
  /// never read. Undefined where all images have the architecture's own size.
  torch::Tensor grids = {};
  /// Of a model that speaks. bool (n, T): the tokens of the answer; undefined where there is none.
  torch::Tensor answers = {};
  /// int64 (m, 2): sample and place of each token behind which the next one is asked for, samples
  /// ascending and, for scores (ntk/), as many of each; undefined where that is all of them. They
  /// are those of decoder_ids, where there are any.
  torch::Tensor outputs = {};
  /// Of a model that reads with an encoder and speaks with a decoder. int64 (m, D): what the
  /// decoder reads, each row from its first token on, what pads it at its end; `answers` and
  /// `outputs` are then of these rows.
  torch::Tensor decoder_ids = {};
  /// int64 (m): the sample that each row of `decoder_ids` answers, ascending; undefined where each
  /// sample has one row.
  torch::Tensor decoder_rows = {};
  /// Of a model that answers behind its prompt. int64 (n, T): 0 for the prompt's tokens, k for
  /// those of the k-th of several texts that go on from it. A token sees the prompt and its own
  /// text, and stands where it would if that were the only one. Undefined: there is one text.
  torch::Tensor continuations = {};
  /// Of a model that segments. float (images, P, 2): places in the image to go by, x and y in
  /// pixels; undefined where there are none.
  torch::Tensor points = {};
  /// int64 (images, P): what each is: 1 within, 0 outside, 2 and 3 the upper left and lower right
  /// corner of a box, -1 no point, which SAM expects behind points without a box, -10 nothing at
  /// all.
  torch::Tensor point_labels = {};
  /// Of all samples together.
  std::int64_t images() const {
    return pixels.dim() == 5 ? pixels.size(0) * pixels.size(1) : size();
  }
  std::int64_t size() const { return pixels.defined() ? pixels.size(0) : input_ids.size(0); }
};

/// The samples [begin, begin + count), and what is said of them. Shares their memory.
Batch rows_of(const Batch& batch, std::int64_t begin, std::int64_t count);

/// What a stage takes from those below it, and leaves to those above: tensors by name.
struct State {
  std::map<std::string, torch::Tensor> values;     ///< they depend on weights, or may
  std::map<std::string, torch::Tensor> constants;  ///< of the batch alone: masks
};

/// The value of the last stage that a classifier leaves: (n, labels).
inline constexpr const char* kLogits = "logits";
/// That a model leaves that speaks: (m, vocabulary), a row for each of Batch::outputs, or for each
/// of the n·T tokens.
inline constexpr const char* kTokenLogits = "token_logits";
/// That a model leaves that segments: (images, masks, height, width), those of a sample together.
inline constexpr const char* kMaskLogits = "mask_logits";

}  // namespace strata::models
