#include "data/text/tokenizer.h"

#include <algorithm>

#include "core/document.h"
#include "data/text/added_tokens.h"
#include "data/text/decoders.h"
#include "data/text/normalizers.h"
#include "data/text/part_table.h"
#include "data/text/post_processors.h"
#include "data/text/pre_tokenizers.h"
#include "data/text/token_model.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

/// ICU counts in 32 bits, and texts grow as they are normalised.
constexpr std::size_t kLongestText = std::size_t{1} << 24;

/// What a file's own texts could put into a message.
std::string without_control_characters(std::string text) {
  for (char& byte : text)
    if (static_cast<unsigned char>(byte) < ' ' || byte == '\x7F') byte = ' ';
  return text;
}

TokenModelPointer read_model(ObjectReader& root) {
  ObjectReader model = root.object("model", true);
  return read_token_model(model);
}

}  // namespace

struct Tokenizer::Parts {
  explicit Parts(ObjectReader& root)
      : file(root.place()),
        normalizer(read_optional_part(root, "normalizer", read_normalizer)),
        pre_tokenizer(read_optional_part(root, "pre_tokenizer", read_pre_tokenizer)),
        model(read_model(root)),
        special(read_optional_part(root, "post_processor", read_post_processor)),
        decoder(read_optional_part(root, "decoder", read_decoder)),
        added(root, model->vocabulary(), normalizer) {
    for (const auto* side : {&special.before, &special.behind})
      for (const std::int64_t id : *side)
        if (!token(id))
          root.fail("post_processor", "adds the id " + std::to_string(id) + ", which no token has");
  }

  const std::string* token(std::int64_t id) const {
    const AddedToken* found = added.token(id);
    return found ? &found->content : model->vocabulary().token(id);
  }

  std::string file;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenModelPointer model;
  SpecialTokens special;
  TokenDecoder decoder;
  AddedTokens added;
};

Tokenizer::Tokenizer(const std::filesystem::path& tokenizer_json) {
  try {
    read(load_json(tokenizer_json));
  } catch (const InputError& error) {
    throw InputError(without_control_characters(error.what()));
  }
}

Tokenizer::Tokenizer(const Document& tokenizer_json) {
  read(tokenizer_json);
}

Tokenizer::Tokenizer(const std::string& text, const std::string& name) {
  try {
    read(parse_json(text, name));
  } catch (const InputError& error) {
    throw InputError(without_control_characters(error.what()));
  }
}

void Tokenizer::read(const Document& document) {
  ObjectReader root(document);
  if (root.text("version", "1.0") != "1.0")
    root.fail("version", "found " + excerpt(root.raw("version")) + ", but only \"1.0\" is read");
  root.raw("truncation");
  root.raw("padding");
  parts_ = std::make_unique<const Parts>(root);
  root.finish();
}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<std::int64_t> Tokenizer::encode(const std::string& text,
                                            bool add_special_tokens) const {
  if (text.size() > kLongestText)
    throw InputError(parts_->file + ": a text of " + std::to_string(text.size()) +
                     " bytes is too long to be encoded at once");
  std::vector<Segment> segments;
  if (!text.empty()) segments.push_back(whole_text(icu::UnicodeString::fromUTF8(text)));
  parts_->added.split_raw(segments);
  if (parts_->normalizer)
    for (Segment& segment : segments)
      if (segment.token < 0) parts_->normalizer(segment);
  parts_->added.split_normalized(segments);
  segments.erase(std::remove_if(segments.begin(), segments.end(),
                                [](const Segment& segment) {
                                  return segment.token < 0 && segment.text.isEmpty();
                                }),
                 segments.end());
  if (parts_->pre_tokenizer) parts_->pre_tokenizer(segments);

  std::vector<std::int64_t> ids;
  if (add_special_tokens) ids = parts_->special.before;
  for (const Segment& segment : segments) {
    if (segment.token >= 0)
      ids.push_back(segment.token);
    else
      parts_->model->encode(utf8_of(segment.text), ids);
  }
  if (add_special_tokens)
    ids.insert(ids.end(), parts_->special.behind.begin(), parts_->special.behind.end());
  return ids;
}

std::string Tokenizer::decode(const std::vector<std::int64_t>& ids,
                              bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  for (const std::int64_t id : ids) {
    const AddedToken* added = parts_->added.token(id);
    const std::string* token =
        added ? &parts_->added.decoded_form(*added) : parts_->model->vocabulary().token(id);
    if (token && !(skip_special_tokens && parts_->added.is_special(*token)))
      tokens.push_back(*token);
  }
  std::string out;
  if (parts_->decoder) parts_->decoder(tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    out += (i > 0 && !parts_->decoder ? " " : "") + tokens[i];
  return out;
}

std::optional<std::int64_t> Tokenizer::id_of(const std::string& token) const {
  const auto added = parts_->added.id(token);
  return added ? added : parts_->model->vocabulary().id(token);
}

const std::string& Tokenizer::token(std::int64_t id) const {
  const std::string* found = parts_->token(id);
  if (!found)
    throw InputError(parts_->file + ": no token has the id " + std::to_string(id) +
                     "; ids are below " + std::to_string(size()));
  return *found;
}

std::int64_t Tokenizer::size() const {
  std::int64_t end = parts_->model->vocabulary().end();
  for (const AddedToken& token : parts_->added.all()) end = std::max(end, token.id + 1);
  return end;
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const {
  return parts_->added.all();
}

}  // namespace strata::data
