#include "data/text/decoders.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "data/text/byte_level.h"
#include "data/text/part_table.h"
#include "data/text/pattern.h"
#include "data/text/pre_tokenizers.h"
#include "data/text/token_model.h"

namespace strata::data {
namespace {

using Tokens = std::vector<std::string>;

/// What replacements may make of a text.
constexpr std::size_t kLongestDecoded = std::size_t{1} << 24;

std::string concatenated(const Tokens& tokens) {
  std::string out;
  for (const std::string& token : tokens) out += token;
  return out;
}

/// Each byte that is no UTF-8 as U+FFFD, as Unicode recommends.
std::string as_utf8(const std::string& bytes) {
  return utf8_of(icu::UnicodeString::fromUTF8(bytes));
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found; (found = text.find(from, at)) != std::string::npos;
       at = found + from.size())
    out.append(text, at, found - at).append(to);
  text = out.append(text, at);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The byte that "<0xAB>" stands for.
std::optional<char> byte_of(const std::string& token) {
  if (token.size() != 6 || token.rfind("<0x", 0) != 0 || token.back() != '>') return {};
  const int high = hex_digit(token[3]), low = hex_digit(token[4]);
  if (high < 0 || low < 0) return {};
  return static_cast<char>(high << 4 | low);
}

TokenDecoder read_byte_fallback(ObjectReader&) {
  return [](Tokens& tokens) {
    Tokens out;
    std::string bytes;
    const auto finish_bytes = [&] {
      if (as_utf8(bytes) == bytes) {
        if (!bytes.empty()) out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = byte_of(token)) {
        bytes += *byte;
        continue;
      }
      finish_bytes();
      out.push_back(std::move(token));
    }
    finish_bytes();
    tokens = std::move(out);
  };
}

TokenDecoder read_byte_level_decoder(ObjectReader& reader) {
  for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"})
    reader.boolean(key, true);
  return [](Tokens& tokens) {
    std::string bytes;
    for (const std::string& token : tokens) bytes += from_byte_characters(token);
    tokens = {as_utf8(bytes)};
  };
}

TokenDecoder read_fuse(ObjectReader&) {
  return [](Tokens& tokens) { tokens = {concatenated(tokens)}; };
}

TokenDecoder read_metaspace_decoder(ObjectReader& reader) {
  const MetaspaceFields fields = read_metaspace_fields(reader);
  const bool prepended = fields.prepend_scheme != PrependScheme::kNever;
  return [mark = fields.replacement, prepended](Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      replace_all(tokens[i], mark, i == 0 && prepended ? "" : " ");
  };
}

TokenDecoder read_replace_decoder(ObjectReader& reader) {
  const auto pattern = std::make_shared<const Pattern>(reader, "pattern");
  const std::string content = reader.text("content");
  return [pattern, content, where = reader.where("content")](Tokens& tokens) {
    const Finder find = pattern->finder();
    std::size_t total = 0;
    for (std::string& token : tokens) {
      const auto text = icu::UnicodeString::fromUTF8(token);
      std::string out;
      for (const Stretch& part : find(text)) {
        out += part.match ? content : utf8_of(text.tempSubStringBetween(part.begin, part.end));
        if (total + out.size() > kLongestDecoded)
          throw InputError(where + ": the decoded text grows to more than " +
                           std::to_string(kLongestDecoded) + " bytes");
      }
      total += out.size();
      token = std::move(out);
    }
  };
}

TokenDecoder read_decoder_sequence(ObjectReader& reader) {
  const auto parts = read_parts(reader, "decoders", read_decoder);
  return [parts](Tokens& tokens) {
    for (const TokenDecoder& part : parts) part(tokens);
  };
}

TokenDecoder read_strip_decoder(ObjectReader& reader) {
  const std::string content = read_character(reader, "content");
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const std::int64_t start = reader.integer("start", 0, kMost);
  const std::int64_t stop = reader.integer("stop", 0, kMost);
  return [=](Tokens& tokens) {
    for (std::string& token : tokens) {
      std::size_t begin = 0, end = token.size();
      const std::size_t size = content.size();
      for (std::int64_t i = 0; i < start && token.compare(begin, size, content) == 0; ++i)
        begin += size;
      for (std::int64_t i = 0;
           i < stop && end >= begin + size && token.compare(end - size, size, content) == 0; ++i)
        end -= size;
      token = token.substr(begin, end - begin);
    }
  };
}

TokenDecoder read_wordpiece_decoder(ObjectReader& reader) {
  const std::string prefix = reader.text("prefix", "##");
  const bool cleanup = reader.boolean("cleanup", true);
  return [prefix, cleanup](Tokens& tokens) {
    static const std::pair<const char*, const char*> kArtifacts[] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) token = token.rfind(prefix, 0) == 0 ? token.substr(prefix.size()) : " " + token;
      if (!cleanup) continue;
      for (const auto& [from, to] : kArtifacts) replace_all(token, from, to);
    }
  };
}

const PartType<TokenDecoder> kDecoders[] = {
    {"ByteFallback", read_byte_fallback},
    {"ByteLevel", read_byte_level_decoder},
    {"Fuse", read_fuse},
    {"Metaspace", read_metaspace_decoder},
    {"Replace", read_replace_decoder},
    {"Sequence", read_decoder_sequence},
    {"Strip", read_strip_decoder},
    {"WordPiece", read_wordpiece_decoder},
};

}  // namespace

TokenDecoder read_decoder(ObjectReader& reader) {
  return read_part<TokenDecoder>(reader, kDecoders);
}

}  // namespace strata::data
