#pragma once
/// \file
/// The manifest: what every reader of data sets makes, and what every task takes. An example is an
/// image with a question and its answers, or an image with the names of the classes that it shows,
/// and perhaps a text beside it, or a volume with a mask.
///
/// A task says which of these it wants by LoadOptions::reading. Question answering leaves it as
/// it is, and every example has `question`, `answers` (the first is the one to learn) and
/// `answer_type`. Image classification sets Reading::kLabels; then every example has `labels`
/// instead, `Manifest::classes` are the classes in the order of a model's outputs, and
/// `Manifest::multi_label` says whether an image has exactly one label or any number of them, none
/// included. Reading::kLabelledTexts is the same, and every example has a `text`, too.
/// Segmentation sets Reading::kMasks; then every example's `image` is a NIfTI file and has a `mask`
/// on the same grid, `Manifest::classes` are the classes of the labels 1, 2, …, and
/// `Manifest::volumes` says how they are read (data/volume_cases.h reads them):
/// \code
/// LoadOptions options;
/// options.reading = Reading::kLabels;
/// const Manifest manifest = load_data("pneumoniamnist", options);
/// assert(manifest.classes == std::vector<std::string>({"normal", "pneumonia"}));
/// assert(manifest.examples[0].labels.size() == 1);
/// \endcode

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace strata::data {

/// What an example is for, as files name it.
inline constexpr const char *kTrainSplit = "train", *kTestSplit = "test";
/// What kind of question it has, likewise: yes/no or a choice, or any other.
inline constexpr const char *kClosedQuestion = "closed", *kOpenQuestion = "open";

struct Example {
  std::string image;                 ///< path relative to the manifest's folder
  std::string question;              ///< "" where there are labels
  std::vector<std::string> answers;  ///< accepted ones, the first is the target; none with labels
  std::string split;                 ///< kTrainSplit or kTestSplit
  std::string client;                ///< modality or site
  std::string answer_type;           ///< kClosedQuestion or kOpenQuestion; "" with labels
  std::string dataset;               ///< the set's name where several were merged, else ""
  /// Names of classes, in the manifest's order, none twice.
  std::vector<std::string> labels = {};
  std::string text = {};     ///< beside an image with labels; "" where there is none
  std::string patient = {};  ///< whom several examples may be of; "" where it is not known
  std::string mask = {};     ///< path relative to the manifest's folder; "" where there is none
  std::string lesion = {};   ///< which several images may show; "" where it is not known

  bool trains() const { return split == kTrainSplit; }
  bool tests() const { return split == kTestSplit; }
  bool closed() const { return answer_type == kClosedQuestion; }
};

/// What to learn of an example: the first answer, or the first label in the order of the classes;
/// "" for an image of a multi-label set that has none. Partitions by answers go by it.
std::string target_of(const Example& example);

/// What is done with the intensities of a volume before it is cut into stacks.
enum class Intensities {
  kAsStored,
  kWindow,         ///< cut off at the two ends of its client's window
  kBelowQuantile,  ///< cut off at the volume's quantile 0.99, then brought to 0 … 1
};

/// How the volumes of a set and their masks are read.
struct VolumeReading {
  int slice_axis = 2;  ///< of the file's axes 0, 1, 2, the one that slices follow each other along
  Intensities intensities = Intensities::kAsStored;
  std::map<std::string, std::array<float, 2>> windows = {};  ///< by client, both ends included
  bool higher_is_last = false;  ///< labels above the last class count as the last class

  bool operator==(const VolumeReading&) const = default;
};

struct Manifest {
  std::filesystem::path folder;
  std::string name;        ///< e.g. "phantoms"
  bool synthetic = false;  ///< made by `strata data make`: reports say so
  std::vector<Example> examples;
  /// What a reader of a published set left out or decided, one line each, for people.
  std::vector<std::string> notes = {};
  /// In the set's own order where it is published, else sorted by their bytes, as torchvision and
  /// Hugging Face's datasets do. Of masks: of the labels 1, 2, … in turn. Empty where there are
  /// questions.
  std::vector<std::string> classes = {};
  bool multi_label = false;
  std::optional<VolumeReading> volumes = {};  ///< where examples are volumes with masks

  bool has_masks() const { return volumes.has_value(); }
  bool has_labels() const { return !classes.empty() && !has_masks(); }
  std::vector<std::string> clients() const;  ///< in order of first appearance
  std::vector<std::string> answers() const;  ///< all first answers, sorted; none with labels
};

/// What is read of a data set. Some have both: MedMNIST is classes, or a question about each image.
enum class Reading {
  kQuestions,      ///< a set without them is an error
  kLabels,         ///< likewise
  kLabelledTexts,  ///< labels and texts: likewise
  kMasks,          ///< likewise
  kEither,         ///< the questions, or what there is where a set has no questions
};

struct LoadOptions {
  std::string language = "en";  ///< of SLAKE: "en" or "zh"
  /// Published questions without their images: images need not exist, and cannot be decoded.
  bool questions_only = false;
  Reading reading = Reading::kQuestions;
};

/// Reads a data set's folder, by what is there: Strata's own `manifest.jsonl` or one of the formats
/// of data/datasets/datasets.h as it was published. A folder of such folders is one data set, whose
/// examples have the folders' names as `dataset` where they had none; its sets that do not have
/// what `reading` asks for are left out with a note, and its classes are those of all its sets, in
/// the order in which they come. Published validation examples become training examples, or the
/// test where there is none. Clients: the image's modality where it is published (SLAKE,
/// OmniMedVQA, MedMNIST), the organ for VQA-RAD, the set for PathVQA and VQA-Med, what an
/// ImageFolder's metadata says. The notes go to the log.
/// @throws InputError: no known layout (naming what was looked for), or none that has what
/// `reading` asks for; anything malformed in it, with file, line or record, field, what was found
/// and what is allowed; an image that does not exist; single- and multi-label sets in one folder.
Manifest load_data(const std::filesystem::path& folder, const LoadOptions& options = {});

/// Strata's own layout, which data/datasets/own_layout.cpp describes: `manifest.jsonl`, and
/// `dataset.json` with name, `synthetic` and the order of the classes. @throws WorkError
void write_manifest(const Manifest& manifest);
/// `manifest.jsonl` alone, for a writer that describes its set more fully. @throws WorkError
void write_manifest_lines(const Manifest& manifest);

}  // namespace strata::data
