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
  std::unordered_set<std::string> images;
  for_each_json_line(file, [&](const Document& line) {
    ObjectReader reader(line);
    Example example;
    example.image = reader.filled_text("image");
    example.question = reader.filled_text("question");
    example.answers = reader.filled_texts("answers");
    example.split = reader.choice("split", {"train", "test"});
    example.client = reader.filled_text("client");
    example.answer_type = reader.choice("answer_type", {"closed", "open"});
    if (reader.has("dataset")) example.dataset = reader.filled_text("dataset");
    reader.finish();
    if (images.insert(example.image).second) {
      const std::string problem = image_problem(folder, example.image, /*questions_only=*/false);
      if (!problem.empty()) reader.fail("image", problem);
    }
    manifest.examples.push_back(std::move(example));
  });
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
