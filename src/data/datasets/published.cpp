#include "data/datasets/published.h"

#include <algorithm>
#include <climits>
#include <set>
#include <string_view>

#include "data/image.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata::data {
namespace {

constexpr std::string_view kSpace = " \t\r\n\f\v";

}  // namespace

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string squeezed(const std::string& text) {
  constexpr std::string_view kNoBreakSpace = "\u00a0";
  std::string out;
  bool gap = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (kSpace.find(text[i]) != std::string_view::npos) {
      gap = true;
    } else if (text.compare(i, kNoBreakSpace.size(), kNoBreakSpace) == 0) {
      gap = true;
      i += kNoBreakSpace.size() - 1;
    } else {
      if (gap && !out.empty()) out += ' ';
      gap = false;
      out += text[i];
    }
  }
  return out;
}

std::string lower_ascii(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string answer_type_of(const std::string& answer) {
  static const std::unordered_set<std::string> kClosed = {"yes",  "no",   "是", "否",
                                                          "不是", "没有", "有"};
  return kClosed.count(lower_ascii(answer)) ? kClosedQuestion : kOpenQuestion;
}

void Record::fail(const std::string& message) const {
  throw InputError(where() + ": " + message);
}

std::string Record::text_or_empty(const std::string& key) {
  if (!reader_.has(key))
    reader_.fail(key, "the key is missing; there are " + quoted_list(reader_.keys()));
  return trimmed(reader_.text_or_number(key));
}

std::string Record::text(const std::string& key) {
  const std::string value = text_or_empty(key);
  if (value.empty()) reader_.fail(key, "the text is empty");
  return value;
}

std::string Record::choice(const std::string& key, const std::vector<std::string>& allowed) {
  const std::string value = text(key);
  for (const std::string& name : allowed)
    if (lower_ascii(name) == lower_ascii(value)) return name;
  reader_.fail(key, "\"" + value + "\" is not one of " + quoted_list(allowed) +
                        did_you_mean(value, allowed));
}

std::vector<Record> records_of(const Document& document) {
  std::vector<Record> records;
  for (ObjectReader& reader : read_records(document)) records.emplace_back(std::move(reader));
  return records;
}

std::string image_problem(const std::filesystem::path& folder, const std::string& image,
                          bool questions_only, const std::string& what) {
  const std::filesystem::path relative = std::filesystem::path(image).lexically_normal();
  if (relative.is_absolute() || (!relative.empty() && *relative.begin() == ".."))
    return "\"" + image + "\" is outside of the data set's folder";
  for (const auto& part : relative) {
    if (part.native().size() > NAME_MAX)
      return "it holds a file name of " + std::to_string(part.native().size()) +
             " bytes; at most " + std::to_string(NAME_MAX) + " can be";
  }
  if (image.size() >= PATH_MAX)
    return "it has " + std::to_string(image.size()) + " bytes; a path has fewer than " +
           std::to_string(PATH_MAX);
  if (image.find('\0') != std::string::npos) return "it holds a zero byte";
  if (!questions_only && !is_image(folder / image))
    return "the " + what + " " + (folder / image).string() + " does not exist";
  return "";
}

void ImageCheck::operator()(const std::string& where, const std::string& field,
                            const std::string& image) {
  if (!seen_.insert(image).second) return;
  const std::string problem = image_problem(folder_, image, questions_only_);
  if (!problem.empty()) throw InputError(where + ": " + field + ": " + problem);
}

std::string ImageCheck::find_if_there(const std::vector<std::string>& places,
                                      const std::string& name,
                                      const std::vector<std::string>& endings) const {
  for (const std::string& place : places)
    for (const std::string& ending : endings)
      if (image_problem(folder_, place + name + ending, questions_only_).empty())
        return place + name + ending;
  return "";
}

std::string ImageCheck::find(const std::string& where, const std::string& field,
                             const std::vector<std::string>& places, const std::string& name,
                             const std::vector<std::string>& endings) const {
  const std::string found = find_if_there(places, name, endings);
  if (!found.empty()) return found;
  std::vector<std::string> others;
  for (const std::string& place : places)
    for (const std::string& ending : endings) others.push_back(place + name + ending);
  const std::string first = others.front();
  others.erase(others.begin());
  throw InputError(where + ": " + field + ": " + image_problem(folder_, first, questions_only_) +
                   (others.empty() ? "" : ", nor in the same folder " + quoted_list(others)));
}

void LeftOut::add(const std::string& reason, const std::string& where) {
  const auto entry = reasons_.emplace(reason, std::pair<std::int64_t, std::string>{0, where}).first;
  ++entry->second.first;
}

void LeftOut::write(Manifest& manifest) const {
  for (const auto& [reason, count] : reasons_)
    manifest.notes.push_back(std::to_string(count.first) +
                             (count.first == 1 ? " record" : " records") + " left out: " + reason +
                             " (first: " + count.second + ")");
}

std::string hashed_split(const std::string& name) {
  const int share = std::stoi(sha256_hex(name).substr(0, 4), nullptr, 16);
  return share < 0x10000 / 5 ? kTestSplit : kTrainSplit;
}

void settle_validation(Manifest& manifest) {
  std::set<std::string> tested;
  for (const Example& example : manifest.examples)
    if (example.tests()) tested.insert(example.dataset);
  std::int64_t trained = 0, test = 0;
  for (Example& example : manifest.examples) {
    if (example.split != kValidation) continue;
    const bool train = tested.count(example.dataset) > 0;
    example.split = train ? kTrainSplit : kTestSplit;
    ++(train ? trained : test);
  }
  if (trained > 0)
    manifest.notes.push_back("validation examples used for training, as there is a test set: " +
                             std::to_string(trained));
  if (test > 0)
    manifest.notes.push_back("validation examples used as the test, as there is no test set: " +
                             std::to_string(test));
}

}  // namespace strata::data
