#pragma once
/// \file
/// The manifest: one JSON object a line, one line an image-question pair. What every
/// reader of data sets makes.
///
/// `manifest.jsonl` in the data set's folder:
///   {"image":"images/ct/0001.png","question":"is there a nodule?","answers":["yes"],
///    "split":"train","client":"ct","answer_type":"closed"}
/// image: path relative to the folder, which it may not leave. answers: one or more accepted ones,
/// the first is the target. split: "train" or "test". client: modality or site. answer_type:
/// "closed" (yes/no or a choice) or "open". `dataset` (optional): the set's name where several were
/// merged.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::data {

struct Example {
  std::string image;
  std::string question;
  std::vector<std::string> answers;
  std::string split;
  std::string client;
  std::string answer_type;
  std::string dataset;
};

struct Manifest {
  std::filesystem::path folder;
  std::string name;        ///< e.g. "phantoms"
  bool synthetic = false;  ///< made by `strata data make`: reports say so
  std::vector<Example> examples;
  /// What a reader of a published set left out or decided, one line each, for people.
  std::vector<std::string> notes = {};

  std::vector<std::string> clients() const;  ///< in order of first appearance
  std::vector<std::string> answers() const;  ///< all first answers, sorted
};

struct LoadOptions {
  std::string language = "en";  ///< of SLAKE: "en" or "zh"
  /// Published questions without their images: images need not exist, and cannot be decoded.
  bool questions_only = false;
};

/// Reads a data set's folder, by what is there: Strata's own `manifest.jsonl` or one of the formats
/// of data/datasets/datasets.h as it was published. A folder of such folders is one data set, whose
/// examples have the folders' names as `dataset` where they had none. Published validation examples
/// become training examples, or the test where there is none. Clients: the image's modality where
/// it is published (SLAKE, OmniMedVQA, MedMNIST), the organ for VQA-RAD, the set for PathVQA and
/// VQA-Med. The notes go to the log.
/// @throws InputError: no known layout (naming what was looked for); anything malformed in it, with
/// file, line or record, field, what was found and what is allowed; an image that does not exist.
Manifest load_data(const std::filesystem::path& folder, const LoadOptions& options = {});

/// Strata's own layout alone: `manifest.jsonl`, and `dataset.json` where it is there. @throws
/// InputError as load_data.
Manifest read_manifest(const std::filesystem::path& folder);

/// `manifest.jsonl` and `dataset.json` ({"version":1,"name":…,"synthetic":…}). @throws WorkError
void write_manifest(const Manifest& manifest);
/// `manifest.jsonl` alone, for a writer that describes its set more fully. @throws WorkError
void write_manifest_lines(const Manifest& manifest);

}  // namespace strata::data
