#include "data/manifest.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "core/console.h"
#include "core/document.h"
#include "core/text.h"
#include "data/datasets/classes.h"
#include "data/datasets/datasets.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

std::string contents_of(const Manifest& manifest) {
  return manifest.has_masks() ? "masks" : manifest.has_labels() ? "labels" : "questions";
}

/// The classes of masks are numbers in files, so that those of all sets are the same.
void join_masks(Manifest& merged, const std::string& name, const Manifest& part) {
  if (merged.examples.empty()) {
    merged.classes = part.classes;
    merged.volumes = part.volumes;
  }
  if (merged.classes != part.classes || merged.volumes != part.volumes)
    throw InputError(merged.folder.string() + ": the volumes of \"" + name +
                     "\" have other classes or are read otherwise than the sets before it; read "
                     "them apart");
}

/// Adds the set in the folder `name` of the merged one's. @throws InputError: it has labels and
/// those before it questions, or the like.
void merge(Manifest part, const std::string& name, Manifest& merged) {
  if (!merged.examples.empty() && contents_of(merged) != contents_of(part))
    throw InputError(merged.folder.string() + ": \"" + name + "\" has " + contents_of(part) +
                     ", the sets before it " + contents_of(merged) + "; read them apart");
  if (part.has_labels()) join_classes(merged, name, part.classes, part.multi_label);
  if (part.has_masks()) join_masks(merged, name, part);
  merged.synthetic |= part.synthetic;
  for (const std::string& note : part.notes) merged.notes.push_back(name + ": " + note);
  for (Example& example : part.examples) {
    example.image = name + "/" + example.image;
    if (!example.mask.empty()) example.mask = name + "/" + example.mask;
    if (example.dataset.empty()) example.dataset = part.name;
    merged.examples.push_back(std::move(example));
  }
}

/// A folder of data sets. @throws InputError where none of its folders is one that can be read so.
Manifest read_folders(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest merged;
  merged.folder = folder;
  merged.name = folder_name(folder);
  std::string refused;
  for (const auto& path : folders_in(folder)) {
    const Dataset* dataset = find_inner_dataset(path);
    if (!dataset) {
      merged.notes.push_back(path.string() + " is left out: no data set");
      continue;
    }
    const std::string problem = reading_problem(*dataset, options.reading);
    if (problem.empty()) {
      merge(dataset->read(path, options), path.filename().string(), merged);
    } else {
      merged.notes.push_back(path.string() + " is left out: " + problem);
      if (refused.empty()) refused = path.string() + ": " + dataset->name + ": " + problem;
    }
  }
  if (merged.examples.empty() && !refused.empty()) throw InputError(refused);
  if (merged.examples.empty())
    throw InputError(folder.string() + ": no data set here; looked for " + joined(known_layouts()) +
                     ", and folders of these");
  if (merged.has_labels()) settle_classes(merged);
  return merged;
}

}  // namespace

std::string target_of(const Example& example) {
  const auto& targets = example.answers.empty() ? example.labels : example.answers;
  return targets.empty() ? "" : targets.front();
}

std::vector<std::string> Manifest::clients() const {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  for (const Example& example : examples)
    if (seen.insert(example.client).second) names.push_back(example.client);
  return names;
}

std::vector<std::string> Manifest::answers() const {
  std::set<std::string> answers;
  for (const Example& example : examples)
    if (!example.answers.empty()) answers.insert(example.answers.front());
  return {answers.begin(), answers.end()};
}

Manifest load_data(const std::filesystem::path& folder, const LoadOptions& options) {
  if (!std::filesystem::is_directory(folder))
    throw InputError(folder.string() + ": no such folder");
  if (options.language != "en" && options.language != "zh")
    throw InputError("language: found \"" + options.language +
                     "\", expected one of \"en\", \"zh\"");
  const Dataset* dataset = find_dataset(folder);
  if (dataset) {
    const std::string problem = reading_problem(*dataset, options.reading);
    if (!problem.empty()) throw InputError(folder.string() + ": " + dataset->name + ": " + problem);
  }
  Manifest manifest = dataset ? dataset->read(folder, options) : read_folders(folder, options);
  for (const std::string& note : manifest.notes) log_info(manifest.name + ": " + note);
  return manifest;
}

void write_manifest_lines(const Manifest& manifest) {
  AtomicFile file(manifest.folder / "manifest.jsonl");
  for (const Example& example : manifest.examples) {
    Json line;
    line["image"] = example.image;
    if (manifest.has_masks()) {
      line["mask"] = example.mask;
    } else if (!manifest.has_labels()) {
      line["question"] = example.question;
      line["answers"] = example.answers;
    } else if (manifest.multi_label) {
      line["labels"] = example.labels;
    } else {
      line["label"] = example.labels.front();
    }
    if (!example.text.empty()) line["text"] = example.text;
    if (!example.patient.empty()) line["patient"] = example.patient;
    if (!example.lesion.empty()) line["lesion"] = example.lesion;
    line["split"] = example.split;
    line["client"] = example.client;
    if (manifest.classes.empty()) line["answer_type"] = example.answer_type;
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
  if (!manifest.classes.empty()) description["classes"] = manifest.classes;
  if (manifest.has_masks()) description["slice_axis"] = manifest.volumes->slice_axis;
  write_file(manifest.folder / "dataset.json", description.dump(2) + "\n");
}

}  // namespace strata::data
