#pragma once
/// \file
/// How questions and answers become the tokens of a model that speaks.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/text/tokenizer.h"
#include "models/architecture.h"

namespace strata::tasks {

/// A question's tokens and those of its answer, one after the other; the answer's alone where a
/// decoder speaks that its encoder's text is no part of.
struct Written {
  std::vector<std::int64_t> prompt;  ///< alone, as PromptWriter::prompt has it
  std::vector<std::int64_t> ids;
  std::size_t answer = 0;  ///< where it begins
};

/// A question as ALBEF's program asks it: in small letters (ASCII), without , . ' ! ? " ( ) * # : ;
/// ~, with a space for - and /, at most 50 words.
std::string plain_question(const std::string& question);

/// Of an image; nothing where no image of the model is cut.
using Tiles = std::optional<data::TileGrid>;

class PromptWriter {
 public:
  /// `prompt` stands for the model's own; empty: that. @throws InputError where {question} is not
  /// in it once, or <image> more or less often (of a model whose image is no part of the text: at
  /// all)
  PromptWriter(const models::Speech& speech, std::shared_ptr<const data::Tokenizer> tokenizer,
               const std::string& prompt = "");

  /// Of a question about an image that is cut into `tiles`, if it may be: the model's marks of an
  /// image, which the prompt may spell out around <image>, are then those of its tiles.
  /// @throws InputError for a question with the text <image>, which stands for one
  std::vector<std::int64_t> prompt(const std::string& question, const Tiles& tiles = {}) const;
  /// The same with as many of the question's words, from the first on, as make at most so many
  /// tokens. @throws InputError where those without any are more
  std::vector<std::int64_t> prompt(const std::string& question, std::size_t most,
                                   const Tiles& tiles = {}) const;
  /// The prompt, a space unless the prompt ends with white space, the answer, and the token that
  /// ends it. Where the tokenizer joins the two, the answer begins with the first token that is not
  /// the prompt's.
  Written with_answer(const std::string& question, const std::string& answer,
                      const Tiles& tiles = {}) const;
  /// An answer's tokens as they come behind the end of a prompt, with the token that ends it.
  std::vector<std::int64_t> answer(const std::string& answer) const;
  /// What the tokens say, without white space around it.
  std::string text(const std::vector<std::int64_t>& ids) const;

 private:
  std::string filled(const std::string& question, const Tiles& tiles) const;
  std::vector<std::int64_t> encoded(const std::string& text) const;

  models::Speech speech_;
  std::shared_ptr<const data::Tokenizer> tokenizer_;
  std::string before_, behind_;  ///< the question
  bool has_token_;               ///< the tokenizer has one for <image>
};

}  // namespace strata::tasks
