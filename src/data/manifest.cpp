#include "data/manifest.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "core/console.h"
#include "core/document.h"
#include "core/text.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

const std::vector<std::string> kKeys = {"image",  "question",    "answers", "split",
                                        "client", "answer_type", "dataset"};

/// One line of a manifest, with the place to begin an error message with.
class Line {
 public:
  Line(const std::string& file, std::int64_t number, const std::string& text)
      : where_(file + ":" + std::to_string(number)), object_(parse_json(text, file, number).root) {
    if (!object_.is_object())
      fail(std::string("found ") + type_name(object_) + ", expected an object");
    for (const auto& item : object_.items())
      if (std::find(kKeys.begin(), kKeys.end(), item.key()) == kKeys.end())
        fail("unknown key \"" + item.key() + "\"" + did_you_mean(item.key(), kKeys) +
             "; allowed are " + quoted_list(kKeys));
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(where_ + ": " + message);
  }

  bool has(const std::string& key) const { return object_.contains(key); }

  const Json& value(const std::string& key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) fail("the key \"" + key + "\" is missing");
    return *found;
  }

  std::string text(const std::string& key) const {
    const Json& found = value(key);
    if (!found.is_string()) fail("\"" + key + "\" is " + type_name(found) + ", expected a string");
    if (found.get_ref<const std::string&>().empty()) fail("\"" + key + "\" is empty");
    return found.get<std::string>();
  }

  std::string choice(const std::string& key, const std::vector<std::string>& allowed) const {
    const std::string found = text(key);
    if (std::find(allowed.begin(), allowed.end(), found) == allowed.end())
      fail("\"" + key + "\" is \"" + found + "\", expected one of " + quoted_list(allowed) +
           did_you_mean(found, allowed));
    return found;
  }

  std::vector<std::string> texts(const std::string& key) const {
    const Json& found = value(key);
    if (!found.is_array())
      fail("\"" + key + "\" is " + type_name(found) + ", expected a list of strings");
    if (found.empty()) fail("\"" + key + "\" is empty: at least one answer is needed");
    std::vector<std::string> out;
    for (const Json& element : found) {
      if (!element.is_string() || element.get_ref<const std::string&>().empty())
        fail("\"" + key + "\" holds " +
             (element.is_string() ? "an empty string" : type_name(element)) +
             ", expected non-empty strings");
      out.push_back(element.get<std::string>());
    }
    return out;
  }

 private:
  static std::string type_name(const Json& value) {
    switch (value.type()) {
      case Json::value_t::object:
        return "an object";
      case Json::value_t::array:
        return "a list";
      case Json::value_t::string:
        return "a string";
      case Json::value_t::boolean:
        return "a boolean";
      case Json::value_t::null:
        return "null";
      default:
        return "a number";
    }
  }

  std::string where_;
  Json object_;
};

std::string folder_name(const std::filesystem::path& folder) {
  const auto path = std::filesystem::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

void read_description(Manifest& manifest) {
  const auto file = manifest.folder / "dataset.json";
  manifest.name = folder_name(manifest.folder);
  if (!std::filesystem::exists(file)) return;
  const Document document = load_json(file);
  ObjectReader reader(document);
  reader.version(1);
  manifest.name = reader.text("name");
  manifest.synthetic = reader.boolean("synthetic", false);
  // What `strata data make` adds to say how the set was made.
  for (const char* key : {"seed", "size", "images_per_modality", "shapes_images"}) reader.raw(key);
  reader.finish();
}

/// A folder of data sets. @throws InputError where none of its folders is one.
Manifest read_folders(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest merged;
  merged.folder = folder;
  merged.name = folder_name(folder);
  for (const auto& path : folders_in(folder)) {
    const Dataset* dataset = find_inner_dataset(path);
    const std::string name = path.filename().string();
    if (!dataset) {
      merged.notes.push_back(path.string() + " is left out: no data set");
      continue;
    }
    Manifest part = dataset->read(path, options);
    merged.synthetic |= part.synthetic;
    for (const std::string& note : part.notes) merged.notes.push_back(name + ": " + note);
    for (Example& example : part.examples) {
      example.image = name + "/" + example.image;
      if (example.dataset.empty()) example.dataset = part.name;
      merged.examples.push_back(std::move(example));
    }
  }
  if (merged.examples.empty())
    throw InputError(folder.string() + ": no data set here; looked for " + joined(known_layouts()) +
                     ", and folders of these");
  return merged;
}

}  // namespace

std::vector<std::string> Manifest::clients() const {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  for (const Example& example : examples)
    if (seen.insert(example.client).second) names.push_back(example.client);
  return names;
}

std::vector<std::string> Manifest::answers() const {
  std::set<std::string> answers;
  for (const Example& example : examples) answers.insert(example.answers.front());
  return {answers.begin(), answers.end()};
}

Manifest load_data(const std::filesystem::path& folder, const LoadOptions& options) {
  if (!std::filesystem::is_directory(folder))
    throw InputError(folder.string() + ": no such folder");
  if (options.language != "en" && options.language != "zh")
    throw InputError("language: found \"" + options.language +
                     "\", expected one of \"en\", \"zh\"");
  const Dataset* dataset = find_dataset(folder);
  Manifest manifest = dataset ? dataset->read(folder, options) : read_folders(folder, options);
  for (const std::string& note : manifest.notes) log_info(manifest.name + ": " + note);
  return manifest;
}

Manifest read_manifest(const std::filesystem::path& folder) {
  Manifest manifest;
  manifest.folder = folder;
  read_description(manifest);
  const auto file = folder / "manifest.jsonl";
  const std::string text = read_file(file);
  std::unordered_set<std::string> images;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string content = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (content.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Line line(file.string(), number, content);
    Example example;
    example.image = line.text("image");
    example.question = line.text("question");
    example.answers = line.texts("answers");
    example.split = line.choice("split", {"train", "test"});
    example.client = line.text("client");
    example.answer_type = line.choice("answer_type", {"closed", "open"});
    if (line.has("dataset")) example.dataset = line.text("dataset");
    if (images.insert(example.image).second) {
      const std::string problem =
          image_problem(folder, "image", example.image, /*questions_only=*/false);
      if (!problem.empty()) line.fail(problem);
    }
    manifest.examples.push_back(std::move(example));
  }
  if (manifest.examples.empty()) throw InputError(file.string() + ": no example in it");
  return manifest;
}

void write_manifest_lines(const Manifest& manifest) {
  AtomicFile file(manifest.folder / "manifest.jsonl");
  for (const Example& example : manifest.examples) {
    Json line;
    line["image"] = example.image;
    line["question"] = example.question;
    line["answers"] = example.answers;
    line["split"] = example.split;
    line["client"] = example.client;
    line["answer_type"] = example.answer_type;
    if (!example.dataset.empty()) line["dataset"] = example.dataset;
    file.stream() << line.dump() << '\n';
  }
  file.commit();
}

void write_manifest(const Manifest& manifest) {
  write_manifest_lines(manifest);
  Json description;
  description["version"] = 1;
  description["name"] = manifest.name;
  description["synthetic"] = manifest.synthetic;
  write_file(manifest.folder / "dataset.json", description.dump(2) + "\n");
}

}  // namespace strata::data
