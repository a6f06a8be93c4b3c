#include "tasks/answering.h"

#include <set>
#include <sstream>

#include "core/document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::tasks {
namespace {

std::vector<std::string> lines_of_list(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::istringstream text(read_file(file));
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty())
      throw InputError(file.string() + ":" + std::to_string(lines.size() + 1) +
                       ": the line is empty, but an answer was expected");
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> texts_of_list(const std::filesystem::path& file) {
  const Json root = load_json(file).root;
  if (!root.is_array()) throw InputError(file.string() + ": a list of texts was expected");
  std::vector<std::string> texts;
  for (const Json& text : root) {
    if (!text.is_string() || text.get_ref<const std::string&>().empty())
      throw InputError(file.string() + ": answer " + std::to_string(texts.size() + 1) +
                       ": a text was expected, found " + excerpt(text));
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace

const Choices<Answering>& answering_methods() {
  static const Choices<Answering> choices(
      {{Answering::kGenerate, "generate"}, {Answering::kRank, "rank"}});
  return choices;
}

std::vector<std::string> read_answer_list(const std::filesystem::path& file) {
  std::vector<std::string> answers;
  std::set<std::string> seen;
  for (const std::string& answer :
       file.extension() == ".json" ? texts_of_list(file) : lines_of_list(file))
    if (seen.insert(answer).second) answers.push_back(answer);
  if (answers.empty()) throw InputError(file.string() + ": there are no answers in it");
  return answers;
}

}  // namespace strata::tasks
