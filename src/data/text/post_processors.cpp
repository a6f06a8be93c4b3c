#include "data/text/post_processors.h"

#include <string>

#include "data/text/part_table.h"
#include "data/text/vocabulary.h"

namespace strata::data {
namespace {

bool is_id(const Json& value) {
  return value.is_number_unsigned() &&
         value.get<std::uint64_t>() < std::uint64_t{Vocabulary::kMostIds};
}

/// ["[CLS]", 101].
std::int64_t read_token_and_id(ObjectReader& reader, const std::string& key) {
  const Json& pair = reader.raw(key);
  if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !is_id(pair[1]))
    reader.fail(key, "a pair of a token and its id was expected, found " + excerpt(pair));
  return pair[1].get<std::int64_t>();
}

SpecialTokens read_bert_processing(ObjectReader& reader) {
  return {{read_token_and_id(reader, "cls")}, {read_token_and_id(reader, "sep")}};
}

SpecialTokens read_roberta_processing(ObjectReader& reader) {
  // Of offsets, which nobody asks for here.
  reader.boolean("trim_offsets", true);
  reader.boolean("add_prefix_space", true);
  return read_bert_processing(reader);
}

SpecialTokens read_byte_level_processing(ObjectReader& reader) {
  for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"})
    reader.boolean(key, true);
  return {};
}

std::vector<std::int64_t> special_token_ids(ObjectReader& tokens, const std::string& name) {
  if (!tokens.has(name)) tokens.missing(name, "the special token that the template names");
  ObjectReader token = tokens.object(name);
  const Json& list = token.raw("ids");
  std::vector<std::int64_t> ids;
  if (!list.is_array()) token.fail("ids", "a list of ids was expected, found " + excerpt(list));
  for (const Json& id : list) {
    if (!is_id(id)) token.fail("ids", "found " + excerpt(id) + " in it, which is no id");
    ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

SpecialTokens read_template_processing(ObjectReader& reader) {
  SpecialTokens added;
  ObjectReader tokens = reader.object("special_tokens", true);
  reader.raw("pair");  // of two texts, which nobody gives here
  bool text = false;
  for (ObjectReader& piece : reader.objects("single")) {
    if (piece.has("Sequence")) {
      if (text || piece.object("Sequence").text("id") != "A")
        reader.fail("single", "the text, \"A\", must be in it once, and no other");
      text = true;
    } else {
      const std::string name = piece.object("SpecialToken", true).text("id");
      const auto ids = special_token_ids(tokens, name);
      auto& side = text ? added.behind : added.before;
      side.insert(side.end(), ids.begin(), ids.end());
    }
  }
  if (!text) reader.fail("single", "the text, \"A\", must be in it once, and no other");
  return added;
}

SpecialTokens read_post_processor_sequence(ObjectReader& reader) {
  SpecialTokens all;
  for (const SpecialTokens& part : read_parts(reader, "processors", read_post_processor)) {
    if (part.before.empty() && part.behind.empty()) continue;
    if (!all.before.empty() || !all.behind.empty())
      reader.fail("processors", "more than one of them adds tokens");
    all = part;
  }
  return all;
}

const PartType<SpecialTokens> kPostProcessors[] = {
    {"BertProcessing", read_bert_processing},         {"ByteLevel", read_byte_level_processing},
    {"RobertaProcessing", read_roberta_processing},   {"Sequence", read_post_processor_sequence},
    {"TemplateProcessing", read_template_processing},
};

}  // namespace

SpecialTokens read_post_processor(ObjectReader& reader) {
  return read_part<SpecialTokens>(reader, kPostProcessors);
}

}  // namespace strata::data
