#include "data/text/tokenizer.h"

#include <zlib.h>

#include <nlohmann/json.hpp>

#include "strata/core/sha256.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;
using Json = nlohmann::json;
using Ids = std::vector<std::int64_t>;

namespace {

/// tests/reference/tokenizers.py writes these.
Json recorded(const std::string& name) {
  const auto path = std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/tokenizers" / name;
  std::string text;
  gzFile file = gzopen(path.c_str(), "rb");
  REQUIRE(file);
  char block[1 << 16];
  for (int read = 0; (read = gzread(file, block, sizeof block)) > 0;)
    text.append(block, static_cast<std::size_t>(read));
  gzclose(file);
  return Json::parse(text);
}

std::filesystem::path write_json(const TempDir& folder, const Json& json) {
  return folder.write("tokenizer.json", json.dump());
}

void append_utf8(std::string& text, char32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += {static_cast<char>(0xC0 | c >> 6), tail(0)};
  } else if (c < 0x10000) {
    text += {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  } else {
    text += {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
  }
}

/// What a record says a text decodes to: the text itself where nothing is said.
std::string decoded_text(const Json& differing, std::size_t text, const std::string& itself) {
  const auto found = differing.find(std::to_string(text));
  return found == differing.end() ? itself : found->get<std::string>();
}

/// The ids and decoded texts of a record are the tokenizer's, each of them.
void check_record(const Json& record, const std::vector<std::string>& texts) {
  const TempDir folder;
  const Tokenizer tokenizer(write_json(folder, record["tokenizer"]));
  REQUIRE(record["ids"].size() == texts.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < texts.size() && different < 5; ++i) {
    const auto ids = record["ids"][i].get<Ids>();
    const auto found = tokenizer.encode(texts[i]);
    const auto whole = decoded_text(record["decoded"], i, texts[i]);
    const auto plain = decoded_text(record["without_special"], i, texts[i]);
    const bool equal = found == ids && tokenizer.decode(ids, false) == whole &&
                       tokenizer.decode(ids, true) == plain;
    if (equal) continue;
    ++different;
    INFO("text " << i << ": " << Json(texts[i]).dump());
    CHECK(found == ids);
    CHECK(Json(tokenizer.decode(ids, false)).dump() == Json(whole).dump());
    CHECK(Json(tokenizer.decode(ids, true)).dump() == Json(plain).dump());
  }
  CHECK(different == 0);
}

}  // namespace

TEST_CASE("ids and texts of ten layouts are those of Hugging Face's tokenizers") {
  const auto texts = recorded("texts.json.gz").get<std::vector<std::string>>();
  REQUIRE(texts.size() >= 3000);
  for (const char* layout : {"bert", "opt", "llama_legacy", "llama", "t5", "t5_strip", "gemma",
                             "qwen2", "llama3", "smollm2"}) {
    INFO(layout);
    check_record(recorded(std::string(layout) + ".json.gz"), texts);
  }
}

TEST_CASE("each part alone does what it does in Hugging Face's tokenizers") {
  const auto record = recorded("parts.json.gz");
  const auto texts = record["texts"].get<std::vector<std::string>>();
  for (const Json& part : record["cases"]) {
    INFO("case: normalizer " << part["tokenizer"]["normalizer"] << ", pre_tokenizer "
                             << part["tokenizer"]["pre_tokenizer"] << ", decoder "
                             << part["tokenizer"]["decoder"]);
    check_record(part, texts);
  }
}

TEST_CASE("every character of Unicode 14 is what it is to Hugging Face's tokenizers") {
  const auto record = recorded("unicode.json.gz");
  std::vector<char32_t> points;
  for (const Json& range : record["ranges"])
    for (char32_t point = range[0]; point < range[1].get<char32_t>(); ++point)
      points.push_back(point);
  REQUIRE(points.size() > 140000);
  constexpr std::size_t kChunk = 1000, kText = 10;
  for (const Json& part : record["cases"]) {
    INFO(part["parts"].dump());
    const TempDir folder;
    const Tokenizer tokenizer(write_json(folder, part["tokenizer"]));
    for (std::size_t chunk = 0; chunk < part["digests"].size(); ++chunk) {
      std::string ids;
      const std::size_t end = std::min(points.size(), (chunk + 1) * kChunk);
      for (std::size_t begin = chunk * kChunk; begin < end; begin += kText) {
        std::string text;
        for (std::size_t i = begin; i < std::min(end, begin + kText); ++i) {
          text += 'a';
          append_utf8(text, points[i]);
        }
        for (const std::int64_t id : tokenizer.encode(text))
          ids += (ids.empty() ? "" : " ") + std::to_string(id);
      }
      INFO("characters from " << static_cast<std::uint32_t>(points[chunk * kChunk]));
      CHECK(sha256_hex(ids).substr(0, 16) == part["digests"][chunk].get<std::string>());
    }
  }
}
