#include "models/tokenizer_files.h"

#include <algorithm>
#include <optional>

#include "core/document.h"
#include "data/text/learnt_tokenizer.h"
#include "models/architectures/architectures.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

/// The text of a special token: itself, or the `content` of a mapping that says more about it.
std::string token_text(ObjectReader& reader, const std::string& key, const std::string& fallback) {
  const Json& value = reader.raw(key);
  if (value.is_null()) return fallback;
  const Json& text = value.is_object() && value.contains("content") ? value["content"] : value;
  if (!text.is_string() || text.get_ref<const std::string&>().empty()) {
    reader.fail(key, "found " + value.dump() + ", but a token's text is needed");
  }
  return text.get<std::string>();
}

/// true, false, or nothing where the key is absent or null.
std::optional<bool> switch_of(ObjectReader& reader, const std::string& key) {
  if (reader.raw(key).is_null()) return {};
  return reader.boolean(key, false);
}

/// What tokenizer_config.json says; all of it is unset where there is no such file.
struct ConfigFile {
  std::optional<bool> lower_case, strip_accents, split_cjk;
  /// Whether the class makes its own normaliser of these, as all of BERT's kin do, or takes the one
  /// of tokenizer.json.
  bool own_normalizer = false;
};

ConfigFile read_config_file(const std::filesystem::path& file, data::WordPieceOptions& options) {
  ConfigFile found;
  if (!std::filesystem::exists(file)) return found;
  const Document document = load_json(file);
  ObjectReader reader(document);
  found.lower_case = switch_of(reader, "do_lower_case");
  found.strip_accents = switch_of(reader, "strip_accents");
  found.split_cjk = switch_of(reader, "tokenize_chinese_chars");
  const std::string name = reader.text("tokenizer_class", "BertTokenizer");
  found.own_normalizer = name != "PreTrainedTokenizerFast" && name != "TokenizersBackend";
  options.pad = token_text(reader, "pad_token", options.pad);
  options.unknown = token_text(reader, "unk_token", options.unknown);
  options.begin = token_text(reader, "cls_token", options.begin);
  options.end = token_text(reader, "sep_token", options.end);
  return found;
}

/// `model.vocab` in the order of its ids, which must be 0 … n - 1, each once.
std::vector<std::string> read_vocabulary(ObjectReader& model) {
  const Json& map = model.raw("vocab");
  if (!map.is_object() || map.empty()) model.fail("vocab", "must map tokens to their ids");
  std::vector<std::string> tokens(map.size());
  std::vector<bool> seen(map.size());
  for (const auto& [token, value] : map.items()) {
    const bool whole = value.is_number_unsigned() && value.get<std::uint64_t>() < map.size();
    const std::size_t id = whole ? value.get<std::size_t>() : 0;
    if (!whole || seen[id]) {
      model.fail("vocab", "the token \"" + token + "\" has the id " + value.dump() +
                              ", but the ids must be 0 to " + std::to_string(map.size() - 1) +
                              ", each once");
    }
    seen[id] = true;
    tokens[id] = token;
  }
  return tokens;
}

/// [CLS] and [SEP] around the text, as BERT's post-processors have it.
void read_special_tokens(ObjectReader& root, data::WordPieceOptions& options) {
  ObjectReader post = root.object("post_processor", true);
  if (post.choice("type", {"TemplateProcessing", "BertProcessing"}) == "BertProcessing") {
    for (const auto& [key, token] : {std::pair{"cls", &options.begin}, {"sep", &options.end}}) {
      const Json& pair = post.raw(key);
      if (!pair.is_array() || pair.empty() || !pair[0].is_string()) {
        post.fail(key, "must be a token and its id");
      }
      *token = pair[0].get<std::string>();
    }
    return;
  }
  const Json& single = post.raw("single");
  const auto special = [&](std::size_t i) {
    const auto id = Json::json_pointer("/SpecialToken/id");
    return single[i].contains(id) && single[i][id].is_string() ? single[i][id].get<std::string>()
                                                               : std::string();
  };
  const bool usual = single.is_array() && single.size() == 3 && single[1].contains("Sequence") &&
                     !special(0).empty() && !special(2).empty();
  if (!usual) post.fail("single", "must be a special token, the sequence and a special token");
  options.begin = special(0);
  options.end = special(2);
}

/// transformers finds these in the text before anything else, wherever they stand.
void check_added_tokens(ObjectReader& root, const std::vector<std::string>& vocabulary) {
  const Json& added = root.raw("added_tokens");
  if (!added.is_array()) return;
  for (const Json& token : added) {
    const std::string text = token.is_object() ? token.value("content", "") : "";
    const bool special = token.is_object() && token.value("special", false);
    const bool known = std::find(vocabulary.begin(), vocabulary.end(), text) != vocabulary.end();
    if (!special || !known) {
      root.fail("added_tokens",
                "found \"" + text + "\", but only special tokens that model.vocab holds are read");
    }
  }
}

/// A switch of the normaliser, which the class may set, too.
template <typename Value>
Value agreed(const ObjectReader& normalizer, const char* key, Value here, const ConfigFile& config,
             const char* config_key, const std::optional<bool>& set, Value by_default) {
  if (!config.own_normalizer) return here;
  if (set) return *set;
  if (here == by_default) return here;
  normalizer.fail(key, std::string("differs from BERT's, which transformers computes as long as "
                                   "tokenizer_config.json has no \"") +
                           config_key + "\"; give it there");
}

data::WordPiece read_tokenizer_json(const std::filesystem::path& file, const ConfigFile& config,
                                    data::WordPieceOptions options) {
  const Document document = load_json(file);
  ObjectReader root(document);
  ObjectReader model = root.object("model", true);
  // Files of the first versions have no type.
  if (model.has("type") || !model.has("continuing_subword_prefix")) {
    model.choice("type", {"WordPiece"});
  }
  options.unknown = model.text("unk_token", options.unknown);
  options.prefix = model.text("continuing_subword_prefix", options.prefix);
  options.longest_word =
      static_cast<int>(model.integer("max_input_chars_per_word", 1, 1 << 20, options.longest_word));

  ObjectReader normalizer = root.object("normalizer", true);
  normalizer.choice("type", {"BertNormalizer"});
  options.clean_text = normalizer.boolean("clean_text", true);
  options.lower_case = agreed(normalizer, "lowercase", normalizer.boolean("lowercase", true),
                              config, "do_lower_case", config.lower_case, true);
  options.split_cjk =
      agreed(normalizer, "handle_chinese_chars", normalizer.boolean("handle_chinese_chars", true),
             config, "tokenize_chinese_chars", config.split_cjk, true);
  options.strip_accents =
      agreed(normalizer, "strip_accents", switch_of(normalizer, "strip_accents"), config,
             "strip_accents", config.strip_accents, std::optional<bool>());
  root.object("pre_tokenizer", true).choice("type", {"BertPreTokenizer"});
  read_special_tokens(root, options);
  std::vector<std::string> vocabulary = read_vocabulary(model);
  check_added_tokens(root, vocabulary);
  return with_context(file.string() + ": model.vocab",
                      [&] { return data::WordPiece(std::move(vocabulary), options); });
}

data::WordPiece read_files(const std::filesystem::path& folder, std::string& vocabulary_file) {
  data::WordPieceOptions options;
  const ConfigFile config = read_config_file(folder / "tokenizer_config.json", options);
  const bool lines = std::filesystem::exists(folder / "vocab.txt");
  vocabulary_file = (folder / (lines ? "vocab.txt" : "tokenizer.json")).string();
  if (!lines && std::filesystem::exists(vocabulary_file)) {
    return read_tokenizer_json(vocabulary_file, config, options);
  }
  if (!lines) {
    throw InputError(folder.string() +
                     ": the folder holds no tokenizer (neither vocab.txt nor tokenizer.json)");
  }
  options.lower_case = config.lower_case.value_or(true);
  options.strip_accents = config.strip_accents;
  options.split_cjk = config.split_cjk.value_or(true);
  return data::WordPiece::from_file(vocabulary_file, options);
}

Json added_token(const data::WordPiece& tokenizer, const std::string& text) {
  const auto& vocabulary = tokenizer.vocabulary();
  return {{"id", std::find(vocabulary.begin(), vocabulary.end(), text) - vocabulary.begin()},
          {"content", text},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", false},
          {"special", true}};
}

Json tokenizer_json(const data::WordPiece& tokenizer) {
  const data::WordPieceOptions& options = tokenizer.options();
  Json root = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  std::vector<std::string> special = {options.pad, options.unknown, options.begin, options.end};
  const auto& vocabulary = tokenizer.vocabulary();
  std::sort(special.begin(), special.end(), [&](const std::string& a, const std::string& b) {
    return std::find(vocabulary.begin(), vocabulary.end(), a) <
           std::find(vocabulary.begin(), vocabulary.end(), b);
  });
  root["added_tokens"] = Json::array();
  for (const std::string& text : special) {
    root["added_tokens"].push_back(added_token(tokenizer, text));
  }
  root["normalizer"] = {{"type", "BertNormalizer"},
                        {"clean_text", options.clean_text},
                        {"handle_chinese_chars", options.split_cjk},
                        {"strip_accents", nullptr},
                        {"lowercase", options.lower_case}};
  if (options.strip_accents) root["normalizer"]["strip_accents"] = *options.strip_accents;
  root["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  const auto token = [](const std::string& text, int type) {
    return Json{{"SpecialToken", {{"id", text}, {"type_id", type}}}};
  };
  const auto sequence = [](const char* id, int type) {
    return Json{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  const Json begin = token(options.begin, 0), end = token(options.end, 0);
  Json tokens = Json::object();
  for (const std::string& text : {options.begin, options.end}) {
    tokens[text] = {
        {"id", text}, {"ids", {added_token(tokenizer, text)["id"]}}, {"tokens", {text}}};
  }
  root["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {begin, sequence("A", 0), end}},
      {"pair", {begin, sequence("A", 0), end, sequence("B", 1), token(options.end, 1)}},
      {"special_tokens", std::move(tokens)}};
  root["decoder"] = {{"type", "WordPiece"}, {"prefix", options.prefix}, {"cleanup", true}};
  Json ids = Json::object();
  for (std::size_t id = 0; id < vocabulary.size(); ++id) ids[vocabulary[id]] = id;
  root["model"] = {{"type", "WordPiece"},
                   {"unk_token", options.unknown},
                   {"continuing_subword_prefix", options.prefix},
                   {"max_input_chars_per_word", options.longest_word},
                   {"vocab", std::move(ids)}};
  return root;
}

}  // namespace

data::WordPiece no_tokenizer() {
  return data::WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
}

data::WordPiece load_tokenizer(const std::filesystem::path& model_folder) {
  const std::filesystem::path model = model_folder / "config.json";
  if (std::filesystem::exists(model))
    return load_tokenizer(*read_architecture(model), model_folder);
  std::string file;
  return read_files(model_folder, file);
}

data::WordPiece load_tokenizer(const Architecture& architecture,
                               const std::filesystem::path& model_folder) {
  if (architecture.text_tokens() == 0 || architecture.speech()) return no_tokenizer();
  std::string file;
  data::WordPiece tokenizer = read_files(model_folder, file);
  const auto found = static_cast<std::int64_t>(tokenizer.vocabulary().size());
  const std::int64_t words = architecture.vocabulary_size();
  if (found > words) {
    throw InputError(file + ": " + std::to_string(found) + " tokens, but the model has " +
                     std::to_string(words) + " (vocab_size in config.json)");
  }
  return tokenizer;
}

std::shared_ptr<const data::Tokenizer> load_language(const Architecture& architecture,
                                                     const std::filesystem::path& model_folder) {
  if (!architecture.speech()) return nullptr;
  const std::filesystem::path own = model_folder / "tokenizer.json";
  // BERT's words alone, as bert-base-uncased has them and a checkpoint of ALBEF's authors needs.
  if (std::filesystem::exists(own) || !std::filesystem::exists(model_folder / "vocab.txt"))
    return std::make_shared<const data::Tokenizer>(own);
  std::string file;
  const Json root = tokenizer_json(read_files(model_folder, file));
  return std::make_shared<const data::Tokenizer>(parse_json(root.dump(), file));
}

void copy_language(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "generation_config.json",
        "processor_config.json", "chat_template.json", "chat_template.jinja"}) {
    const std::filesystem::path file = from / name;
    if (std::filesystem::exists(file)) write_file(to / name, read_file(file));
  }
}

void save_learnt_language(const std::string& text, const Architecture& architecture,
                          const std::filesystem::path& folder) {
  const auto write = [&](const char* name, const Json& json) {
    write_file(folder / name, json.dump(2) + "\n");
  };
  const std::int64_t tokens = architecture.text_tokens() + architecture.speech()->image_tokens;
  const auto& names = data::kLearntTokens;
  write_file(folder / "tokenizer.json", text);
  write("tokenizer_config.json", {{"bos_token", names[data::kLearntBegin]},
                                  {"clean_up_tokenization_spaces", false},
                                  {"eos_token", names[data::kLearntEnd]},
                                  {"model_max_length", tokens},
                                  {"pad_token", names[data::kLearntPad]},
                                  {"padding_side", "left"},
                                  {"tokenizer_class", "PreTrainedTokenizerFast"}});
  write("processor_config.json", {{"image_token", names[data::kLearntImage]},
                                  {"num_additional_image_tokens", 1},
                                  {"patch_size", architecture.image_model().patch_size},
                                  {"processor_class", "LlavaProcessor"},
                                  {"vision_feature_select_strategy", "default"}});
  write("generation_config.json", {{"bos_token_id", static_cast<std::int64_t>(data::kLearntBegin)},
                                   {"eos_token_id", static_cast<std::int64_t>(data::kLearntEnd)},
                                   {"pad_token_id", static_cast<std::int64_t>(data::kLearntPad)}});
}

void save_tokenizer(const data::WordPiece& tokenizer, const Architecture& architecture,
                    const std::filesystem::path& model_folder) {
  if (architecture.text_tokens() == 0 || architecture.speech()) return;
  const data::WordPieceOptions& options = tokenizer.options();
  const data::WordPieceOptions usual;
  const bool plain = options.clean_text && options.prefix == usual.prefix &&
                     options.longest_word == usual.longest_word;
  if (plain) {
    std::string vocabulary;
    for (const std::string& token : tokenizer.vocabulary()) vocabulary += token + "\n";
    write_file(model_folder / "vocab.txt", vocabulary);
  } else {
    write_file(model_folder / "tokenizer.json", tokenizer_json(tokenizer).dump(2) + "\n");
  }

  Json json;
  if (options.begin != usual.begin) json["cls_token"] = options.begin;
  json["do_lower_case"] = options.lower_case;
  json["model_max_length"] = architecture.text_tokens();
  if (options.pad != usual.pad) json["pad_token"] = options.pad;
  if (options.end != usual.end) json["sep_token"] = options.end;
  if (options.strip_accents) json["strip_accents"] = *options.strip_accents;
  if (!options.split_cjk) json["tokenize_chinese_chars"] = false;
  json["tokenizer_class"] = "BertTokenizer";
  if (options.unknown != usual.unknown) json["unk_token"] = options.unknown;
  write_file(model_folder / "tokenizer_config.json", json.dump(2) + "\n");
}

}  // namespace strata::models
