#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "cli/command_line.h"
#include "core/console.h"
#include "core/parallel.h"
#include "data/fractals/fractals.h"
#include "data/image.h"
#include "data/partition.h"
#include "data/phantoms/phantoms.h"
#include "data/phantoms/volumes.h"
#include "data/volume_cases.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> distinct_images(const data::Manifest& manifest,
                                         const std::string& client = "") {
  std::set<std::string> images;
  for (const data::Example& example : manifest.examples)
    if (client.empty() || example.client == client) images.insert(example.image);
  return {images.begin(), images.end()};
}

struct Counts {
  std::int64_t images = 0, train = 0, test = 0;
};

Counts count(const data::Manifest& manifest, const std::string& client) {
  Counts counts;
  counts.images = static_cast<std::int64_t>(distinct_images(manifest, client).size());
  for (const data::Example& example : manifest.examples)
    if (example.client == client) ++(example.trains() ? counts.train : counts.test);
  return counts;
}

std::size_t distinct_questions(const data::Manifest& manifest) {
  std::set<std::string> questions;
  for (const data::Example& example : manifest.examples) questions.insert(example.question);
  return questions.size();
}

/// "7 questions, 3 of them distinct; 2 answers" or "7 labelled examples; 2 classes".
std::string contents(const data::Manifest& manifest) {
  const std::string examples = std::to_string(manifest.examples.size());
  if (manifest.has_masks())
    return examples + " with masks; classes " + quoted_list(manifest.classes);
  if (manifest.has_labels())
    return examples + " labelled examples; " + std::to_string(manifest.classes.size()) +
           (manifest.multi_label ? " classes, any number of them an image" : " classes");
  return examples + " questions, " + std::to_string(distinct_questions(manifest)) +
         " of them distinct; " + std::to_string(manifest.answers().size()) + " answers";
}

/// @throws InputError for the first image, in the order of the names, that does not decode, or the
/// first volume in the order of the examples.
void decode_all(const data::Manifest& manifest, const std::vector<std::string>& images) {
  if (manifest.has_masks()) {
    parallel_for(static_cast<int>(manifest.examples.size()), 0,
                 [&](int i) { data::check_case(manifest, manifest.examples[i]); });
    return;
  }
  parallel_for(static_cast<int>(images.size()), 0,
               [&](int i) { data::read_image(manifest.folder / images[i]); });
}

/// The sets that are written, those of clients first.
using MadeSets = std::vector<data::Manifest>;

MadeSets make_fractal_set(const DataMakeArguments& arguments) {
  data::FractalOptions options;
  options.seed = arguments.seed;
  options.classes = arguments.classes;
  options.images_per_class = arguments.images;
  options.size = arguments.size;
  return {data::make_fractals(arguments.out, options)};
}

MadeSets make_phantom_sets(const DataMakeArguments& arguments) {
  data::PhantomOptions options;
  options.seed = arguments.seed;
  options.images_per_modality = arguments.images;
  options.shapes_images = arguments.shapes;
  options.size = arguments.size;
  data::Manifest phantoms = data::make_phantoms(arguments.out, options);
  return {std::move(phantoms), data::load_data(std::filesystem::path(arguments.out) / "shapes")};
}

MadeSets make_volume_sets(const DataMakeArguments& arguments) {
  data::VolumePhantomOptions options;
  options.layout = arguments.layout;
  options.seed = arguments.seed;
  options.volumes = arguments.volumes;
  options.size = arguments.size;
  data::Manifest volumes = data::make_volumes(arguments.out, options);
  data::LoadOptions load;
  load.reading = data::Reading::kMasks;
  return {std::move(volumes),
          data::load_data(std::filesystem::path(arguments.out) / "solids", load)};
}

struct MakerRow {
  const char* name;
  MadeSets (*make)(const DataMakeArguments& arguments);
};

constexpr MakerRow kMakers[] = {
    {"phantoms", make_phantom_sets}, {"fractals", make_fractal_set}, {"volumes", make_volume_sets}};

MadeSets make_sets(const DataMakeArguments& arguments) {
  for (const MakerRow& row : kMakers)
    if (row.name == arguments.set) return row.make(arguments);
  throw std::logic_error(arguments.set + " is no set");
}

}  // namespace

int run_data_make(const DataMakeArguments& arguments, const CommonArguments& common) {
  const std::vector<data::Manifest> sets = make_sets(arguments);
  const bool asks = sets.front().classes.empty();
  TextTable table({"client", sets.front().has_masks() ? "volumes" : "images",
                   asks ? "train questions" : "train", asks ? "test questions" : "test"});
  Json clients = Json::array();
  for (const data::Manifest& manifest : sets)
    for (const std::string& name : manifest.clients()) {
      const Counts counts = count(manifest, name);
      table.row({name, std::to_string(counts.images), std::to_string(counts.train),
                 std::to_string(counts.test)});
      clients.push_back({{"dataset", manifest.name},
                         {"name", name},
                         {"images", counts.images},
                         {"train", counts.train},
                         {"test", counts.test}});
    }
  if (common.json) {
    const Json out = {{"version", 1},
                      {"folder", arguments.out},
                      {"synthetic", true},
                      {"seed", arguments.seed},
                      {"clients", clients}};
    std::cout << printable_json(out.dump(2)) << '\n';
  } else if (!common.quiet) {
    std::cout << table.str()
              << "All of it is synthetic: no image is, or is derived from, a patient's.\n";
    for (const data::Manifest& manifest : sets)
      std::cout << manifest.name << ':'
                << std::string(9 - std::min<std::size_t>(manifest.name.size(), 8), ' ')
                << printable(manifest.folder.string()) << '\n';
  }
  return kExitDone;
}

int run_data_check(const DataCheckArguments& arguments, const CommonArguments& common) {
  data::LoadOptions load;
  load.language = arguments.language;
  load.questions_only = arguments.questions_only;
  load.reading = arguments.labels ? data::Reading::kLabels : data::Reading::kEither;
  const data::Manifest manifest = data::load_data(arguments.folder, load);
  data::PartitionOptions options;
  options.scheme = data::partition_schemes().value(arguments.partition);
  options.clients = arguments.clients;
  options.alpha = arguments.alpha;
  options.public_fraction = arguments.public_fraction;
  options.fraction = arguments.fraction;
  options.seed = arguments.seed;
  const data::Partition partition = data::make_partition(manifest, options);
  const std::vector<std::string> images = distinct_images(manifest);
  if (!load.questions_only) decode_all(manifest, images);
  if (common.json) {
    Json out = {{"version", 1},
                {"name", manifest.name},
                {"synthetic", manifest.synthetic},
                {"images", images.size()},
                {"examples", manifest.examples.size()}};
    if (manifest.has_masks()) {
      out["classes"] = manifest.classes;
      out["slice_axis"] = manifest.volumes->slice_axis;
    } else if (manifest.has_labels()) {
      out["classes"] = manifest.classes;
      out["multi_label"] = manifest.multi_label;
    } else {
      out["distinct_questions"] = distinct_questions(manifest);
      out["answers"] = manifest.answers();
    }
    out["partition"] = arguments.partition;
    out["clients"] = Json::array();
    for (const data::ClientExamples& client : partition.clients)
      out["clients"].push_back(
          {{"name", client.name}, {"train", client.train.size()}, {"test", client.test.size()}});
    out["images_read"] = !load.questions_only;
    out["notes"] = manifest.notes;
    out["public"] = partition.public_train.size();
    std::cout << printable_json(out.dump(2)) << '\n';
  } else if (!common.quiet) {
    std::cout << printable(manifest.name) << (manifest.synthetic ? " (synthetic)" : "") << ": "
              << images.size() << (manifest.has_masks() ? " volumes, " : " images, ")
              << (load.questions_only ? "none of them read; " : "all readable; ")
              << contents(manifest) << '\n'
              << data::partition_table(manifest, partition);
  }
  return kExitDone;
}

}  // namespace strata::cli
