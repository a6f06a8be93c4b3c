#pragma once
/// \file
/// What answers in words behind a Q-Former (blip2.h): a language model with stages of its own.

#include <memory>
#include <optional>

#include "models/architectures/layer_list.h"
#include "models/architectures/token_rows.h"
#include "models/pass.h"

namespace strata::models {

/// The value that its first stage takes: the images' rows, (n·k, width).
inline constexpr const char* kImageRows = "image_rows";

/// Immutable.
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  /// Numbers in a row.
  virtual std::int64_t width() const = 0;
  virtual std::int64_t vocabulary_size() const = 0;
  /// The longest text, the image's rows among it.
  virtual std::int64_t most_tokens() const = 0;
  /// Begins its stages, and adds their layers.
  virtual void declare(LayerList& list) const = 0;
  /// Its stage `stage`, the first of which is 0 and takes kImageRows; the last leaves kTokenLogits,
  /// a classifier's kLogits. Without kImageRows the batch has the next tokens of texts alone, which
  /// go on: keys and values are those of Pass::remembered and Pass::once.
  virtual State run(std::int64_t stage, const Batch& batch, const State& input,
                    const ImagePlaces& images, Pass& pass) const = 0;
  /// Of one whose decoder answers what its encoder has read: see Speech.
  virtual std::optional<std::int64_t> decoder_start() const { return std::nullopt; }
  /// Gives a batch of one text what else it needs: an answer, and what is asked for. A classifier
  /// needs neither.
  virtual void complete(Batch& sample) const = 0;
  /// See Architecture::as_stored.
  virtual std::shared_ptr<const LanguageModel> as_stored(
      const std::function<bool(const std::string&)>& has) const = 0;
  /// With a classifier's head for so many labels in place of the words'.
  virtual std::shared_ptr<const LanguageModel> with(std::int64_t labels) const = 0;
};

}  // namespace strata::models
