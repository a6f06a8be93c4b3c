#pragma once
// A model that speaks, of a few thousand weights: tests/reference/vlms/llava with a tokenizer of
// single characters.

#include <filesystem>
#include <fstream>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "core/document.h"
#include "strata/core/safetensors.h"

namespace strata::test {

/// tokenizer.json of 64 ids: <pad>, <s>, </s>, letters, digits and a few signs, a character each;
/// `image` is <image>. Others are "#".
inline std::string character_tokenizer(int image = 60) {
  Json vocabulary = Json::object();
  int id = 0;
  for (const char* token : {"<pad>", "<s>", "</s>"}) vocabulary[token] = id++;
  for (const char c : std::string("abcdefghijklmnopqrstuvwxyz0123456789 ?.,:\nUSERAINTO-'/()#"))
    if (!vocabulary.contains(std::string(1, c))) vocabulary[std::string(1, c)] = id++;
  for (; id < image; ++id) vocabulary["<unused" + std::to_string(id) + ">"] = id;
  const auto added = [](int number, const char* content) {
    return Json{{"id", number},        {"content", content}, {"special", true},
                {"normalized", false}, {"lstrip", false},    {"rstrip", false},
                {"single_word", false}};
  };
  const Json root{
      {"version", "1.0"},
      {"added_tokens",
       {added(0, "<pad>"), added(1, "<s>"), added(2, "</s>"), added(image, "<image>")}},
      {"normalizer", nullptr},
      {"pre_tokenizer", nullptr},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single",
         {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
          {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
        {"pair",
         {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
          {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
        {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
      {"decoder", {{"type", "Fuse"}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", "#"},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"vocab", vocabulary},
        {"merges", Json::array()}}}};
  return root.dump(1);
}

inline std::filesystem::path recorded_model(const std::string& name) {
  return std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vlms" / name;
}

/// A new folder with its weights and config.json.
inline void copy_recorded_model(const std::string& name, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const char* file : {"model.safetensors", "config.json"})
    std::filesystem::copy(recorded_model(name) / file, folder / file);
}

/// tests/reference/vlms/blip2_t5 with the same tokenizer: an encoder reads, a decoder answers.
inline void write_t5_model(const std::filesystem::path& folder) {
  copy_recorded_model("blip2_t5", folder);
  std::ofstream(folder / "tokenizer.json") << character_tokenizer();
}

/// 40 words of BERT, as a checkpoint of ALBEF's authors has them beside it.
inline std::string albef_words() {
  std::string lines;
  for (const std::string word :
       {"[PAD]", "[CLS]", "[SEP]", "[UNK]", "is",  "it",  "red",  "which", "colour", "why",
        "no",    "yes",   "dark",  "blue",  "so",  "the", "##s",  "left",  "right",  "lung",
        "a",     "b",     "c",     "d",     "e",   "f",   "g",    "h",     "i",      "j",
        "12",    "one",   "two",   "ct",    "mri", "we",  "this", "that",  "there",  "none"})
    lines += word + "\n";
  return lines;
}

/// tests/reference/vlms/albef with these words. Texts may have 8 tokens.
inline void write_albef_model(const std::filesystem::path& folder) {
  copy_recorded_model("albef", folder);
  std::ofstream(folder / "vocab.txt") << albef_words();
}

/// Any of tests/reference/vlms, with its own tokenizer or one of these, whose <image> is the
/// model's.
inline void write_recorded_model(const std::string& name, const std::filesystem::path& folder) {
  if (name == "albef") return write_albef_model(folder);
  copy_recorded_model(name, folder);
  for (const char* beside : {"tower", "tokenizer.json", "preprocessor_config.json"}) {
    if (std::filesystem::exists(recorded_model(name) / beside))
      std::filesystem::copy(recorded_model(name) / beside, folder / beside);
  }
  if (std::filesystem::exists(folder / "tokenizer.json")) return;
  const Json config = load_json(folder / "config.json").root;
  const char* key = config.contains("image_token_id") ? "image_token_id" : "image_token_index";
  std::ofstream(folder / "tokenizer.json") << character_tokenizer(config.value(key, 60));
}

/// Any of tests/reference/vlms with more positions, so that texts may have 160 tokens.
inline void write_long_model(const std::string& name, const std::filesystem::path& folder) {
  write_recorded_model(name, folder);
  Json config = load_json(folder / "config.json").root;
  Json& text = config.contains("text_config") ? config["text_config"] : config;
  const std::int64_t before = text.value("max_position_embeddings", 160);
  text["max_position_embeddings"] = 160;
  std::ofstream(folder / "config.json") << config.dump(2);
  const SafetensorsFile recorded(recorded_model(name) / "model.safetensors");
  std::list<std::string> tables;
  std::vector<TensorView> tensors;
  for (const TensorEntry& entry : recorded.tensors()) {
    tensors.push_back({entry.name, entry.dtype, entry.shape, recorded.bytes(entry)});
    if (!entry.name.ends_with("embed_positions.weight") &&
        !entry.name.ends_with(".position_embeddings.weight"))
      continue;
    const std::int64_t rows = entry.shape[0] - before + 160;  // OPT has two more
    const std::string_view table = recorded.bytes(entry);
    const std::size_t size =
        table.size() / static_cast<std::size_t>(entry.shape[0]) * static_cast<std::size_t>(rows);
    std::string& longer = tables.emplace_back();
    while (longer.size() < size) longer += table;
    tensors.back().shape[0] = rows;
    tensors.back().bytes = std::string_view(longer).substr(0, size);
  }
  write_safetensors(folder / "model.safetensors", tensors);
}

/// Its folder: config.json, weights and tokenizer. Texts may have 160 tokens.
inline void write_speaking_model(const std::filesystem::path& folder) {
  const std::filesystem::path from = recorded_model("llava");
  std::filesystem::create_directories(folder);
  std::filesystem::copy(from / "model.safetensors", folder / "model.safetensors");
  Json config = load_json(from / "config.json").root;
  config["text_config"]["max_position_embeddings"] = 160;
  std::ofstream(folder / "config.json") << config.dump(2);
  std::ofstream(folder / "tokenizer.json") << character_tokenizer();
}

}  // namespace strata::test
