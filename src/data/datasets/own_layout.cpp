// Strata's own layout: `manifest.jsonl`, one JSON object a line, one line an image with a question
// or with labels:
//   {"image":"images/ct/0001.png","question":"is there a nodule?","answers":["yes"],
//    "split":"train","client":"ct","answer_type":"closed"}
//   {"image":"images/ct/0001.png","label":"nodule","split":"train","client":"ct"}
//   {"image":"images/ct/0002.png","labels":["nodule","cyst"],"split":"train","client":"ct"}
//   {"image":"images/ct/0002.png","text":"Two round foci.","labels":["nodule"],…}
//   {"image":"a.nii.gz","mask":"a_mask.nii.gz","split":"train","client":"site-A"}
// image: path relative to the folder, which it may not leave. answers: one or more accepted ones,
// the first is the target. label: the class; labels: all that the image shows, an empty list where
// that is none. mask: labels on the image's grid; both are NIfTI files. A set has one of the four
// kinds of lines. text (optional, with labels): what
// stands beside the image, such as a report. split: "train" or "test". client: modality or site.
// answer_type: "closed" (yes/no or a choice) or "open". dataset (optional): the set's name where
// several were merged.
//
// `dataset.json` beside it (optional): {"version":1,"name":…,"synthetic":…,"classes":[…]}. classes:
// the order of a model's outputs; without it they are sorted. A set with masks must name them, in
// the order of the labels 1, 2, …; its "slice_axis" is 0, 1 or 2 (the default).
#include <algorithm>
#include <unordered_set>

#include "core/document.h"
#include "data/datasets/classes.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

bool is_own_layout(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "manifest.jsonl");
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
  if (reader.has("classes")) manifest.classes = reader.filled_texts("classes");
  std::unordered_set<std::string> seen;
  for (const std::string& name : manifest.classes)
    if (!seen.insert(name).second) reader.fail("classes", "\"" + name + "\" stands twice");
  if (reader.has("slice_axis"))
    manifest.volumes = VolumeReading{static_cast<int>(reader.integer("slice_axis", 0, 2))};
  // What `strata data make` adds to say how the set was made.
  for (const char* key :
       {"seed", "size", "images_per_modality", "shapes_images", "images_per_class", "volumes"})
    reader.raw(key);
  reader.finish();
}

/// The lines of one manifest.jsonl.
class Lines {
 public:
  Lines(Manifest& manifest, Reading reading)
      : manifest_(manifest),
        reading_(reading == Reading::kLabelledTexts ? Reading::kLabels : reading),
        needs_texts_(reading == Reading::kLabelledTexts) {}

  void read(ObjectReader& reader) {
    Example example;
    example.image = reader.filled_text("image");
    settle_reading(reader);
    if (reading_ == Reading::kMasks) {
      example.mask = reader.filled_text("mask");
    } else if (reading_ == Reading::kLabels) {
      example.labels = labels_.read(reader);
      check_classes(reader, example.labels);
      if (needs_texts_ || reader.has("text")) example.text = reader.filled_text("text");
    } else {
      example.question = reader.filled_text("question");
      example.answers = reader.filled_texts("answers");
    }
    example.split = reader.choice("split", {kTrainSplit, kTestSplit});
    example.client = reader.filled_text("client");
    if (reading_ == Reading::kQuestions)
      example.answer_type = reader.choice("answer_type", {kClosedQuestion, kOpenQuestion});
    if (reader.has("dataset")) example.dataset = reader.filled_text("dataset");
    if (reader.has("patient")) example.patient = reader.filled_text("patient");
    if (reader.has("lesion")) example.lesion = reader.filled_text("lesion");
    reader.finish();
    check_file(reader, "image", example.image);
    if (!example.mask.empty()) check_file(reader, "mask", example.mask);
    manifest_.examples.push_back(std::move(example));
  }

  Reading reading() const { return reading_; }
  bool multi_label() const { return labels_.multi_label(); }

 private:
  void check_file(ObjectReader& reader, const std::string& key, const std::string& file) {
    if (!images_.insert(file).second) return;
    const std::string problem =
        image_problem(manifest_.folder, file, /*questions_only=*/false, key);
    if (!problem.empty()) reader.fail(key, problem);
  }

  /// Where all are welcome the first line decides. @throws InputError for a line of another kind.
  void settle_reading(ObjectReader& reader) {
    const bool labels = reader.has("label") || reader.has("labels"), mask = reader.has("mask");
    if (reading_ == Reading::kEither)
      reading_ = mask ? Reading::kMasks : labels ? Reading::kLabels : Reading::kQuestions;
    const std::string label = reader.has("label") ? "label" : "labels";
    if (reading_ == Reading::kMasks && labels)
      reader.fail(label, "segmentation has none; every image needs a \"mask\"");
    if (reading_ != Reading::kMasks && mask)
      reader.fail("mask", std::string("volumes with masks are for segmentation; here every image "
                                      "needs ") +
                              (reading_ == Reading::kLabels ? "\"label\" or \"labels\""
                                                            : "a \"question\""));
    if (reading_ == Reading::kQuestions && labels)
      reader.fail(label,
                  "images with labels are for image classification; here every image needs a "
                  "\"question\"");
    if (reading_ == Reading::kLabels && !labels && reader.has("question"))
      reader.fail("question",
                  "image classification asks none; every image needs \"label\" or \"labels\"");
  }

  void check_classes(ObjectReader& reader, const std::vector<std::string>& labels) const {
    const auto& classes = manifest_.classes;
    if (classes.empty()) return;
    for (const std::string& label : labels)
      if (std::find(classes.begin(), classes.end(), label) == classes.end())
        reader.fail(labels_.multi_label() ? "labels" : "label",
                    "\"" + label + "\" is none of the \"classes\" in dataset.json, " +
                        quoted_list(classes) + did_you_mean(label, classes));
  }

  Manifest& manifest_;
  Reading reading_;
  bool needs_texts_;  ///< beside labels
  LabelFields labels_;
  std::unordered_set<std::string> images_;
};

/// What dataset.json says is of what manifest.jsonl has. @throws InputError
void settle_contents(Manifest& manifest, const Lines& lines) {
  const std::string description = (manifest.folder / "dataset.json").string();
  if (lines.reading() == Reading::kMasks) {
    if (manifest.classes.empty())
      throw InputError(description +
                       ": classes: the key is missing; a set with masks names its classes, in the "
                       "order of the labels 1, 2, …");
    if (!manifest.volumes) manifest.volumes.emplace();
    return;
  }
  if (manifest.volumes)
    throw InputError(description + ": slice_axis: manifest.jsonl has no volumes with masks");
  if (lines.reading() == Reading::kLabels) {
    manifest.multi_label = lines.multi_label();
    settle_classes(manifest);
  } else if (!manifest.classes.empty()) {
    throw InputError(description + ": classes: manifest.jsonl has questions, no labels");
  }
}

Manifest read_own_layout(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  read_description(manifest);
  const auto file = folder / "manifest.jsonl";
  Lines lines(manifest, options.reading);
  for_each_json_line(file, [&](const Document& line) {
    ObjectReader reader(line);
    lines.read(reader);
  });
  if (manifest.examples.empty()) throw InputError(file.string() + ": no example in it");
  settle_contents(manifest, lines);
  return manifest;
}

}  // namespace

Dataset own_layout() {
  return {"Strata's own layout", "manifest.jsonl", is_own_layout,  read_own_layout,
          Reading::kEither,      /*deep=*/false,   /*texts=*/true, /*masks=*/true};
}

}  // namespace strata::data
