#pragma once
/// \file
/// Hugging Face's tokenizer.json: how texts become token ids, and ids texts.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace strata {
struct Document;
}

namespace strata::data {

/// A token that is found in a text before anything else.
struct AddedToken {
  std::string content;
  std::int64_t id = 0;
  bool special = false;      ///< left out of decoded texts where that is asked for
  bool normalized = true;    ///< looked for, normalised, in the normalised text
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< … and behind it
  bool single_word = false;  ///< not within a word
};

/// The tokenizer of a tokenizer.json, which gives the ids and texts that Hugging Face's library
/// `tokenizers` does (0.23; docs/tokenizers.md says what is read). The file's `truncation` and
/// `padding` are not applied: whoever makes batches cuts and fills. Threads may share one.
class Tokenizer {
 public:
  /// @throws InputError, in one line with file and key: no such file, no JSON, a part that is not
  /// known (with the nearest that is), a wrong value.
  explicit Tokenizer(const std::filesystem::path& tokenizer_json);
  /// The same of such a file's contents.
  explicit Tokenizer(const Document& tokenizer_json);
  /// Of such a file's text, which errors call `name`.
  Tokenizer(const std::string& text, const std::string& name);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// The ids of a text; with the special tokens around it, such as [CLS] and [SEP], or without.
  /// Bytes that are no UTF-8 count as U+FFFD. Time is O(n log n) in the text's length. @throws
  /// InputError naming the file where the text has more than 16 MiB or a character that neither the
  /// vocabulary nor its unknown token covers, or a regular expression of the file takes too long.
  std::vector<std::int64_t> encode(const std::string& text, bool add_special_tokens = true) const;
  /// The text of ids. Those that are no token's are left out, as a model may have more outputs than
  /// there are tokens.
  std::string decode(const std::vector<std::int64_t>& ids, bool skip_special_tokens = true) const;

  /// The id of a token as the file has it, such as "<image>" or "▁the"; none where there is no
  /// such token.
  std::optional<std::int64_t> id_of(const std::string& token) const;
  /// The token of an id. @throws InputError where there is none.
  const std::string& token(std::int64_t id) const;
  /// Ids are below it; some may be no token's.
  std::int64_t size() const;
  /// In the file's order.
  const std::vector<AddedToken>& added_tokens() const;

 private:
  void read(const Document& tokenizer_json);

  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace strata::data
