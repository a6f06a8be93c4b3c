#pragma once
/// \file
/// The manifest: one JSON object a line, one line an image-question pair. Strata's one data format.
///
/// `manifest.jsonl` in the data set's folder:
///   {"image":"images/ct/0001.png","question":"is there a nodule?","answers":["yes"],
///    "split":"train","client":"ct","answer_type":"closed"}
/// image: path relative to the folder. answers: one or more accepted ones, the first is the target.
/// split: "train" or "test". client: modality or site. answer_type: "closed" (yes/no or a choice)
/// or "open". `dataset` (optional): the set's name where several were merged.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata {

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

  std::vector<std::string> clients() const;  ///< in order of first appearance
  std::vector<std::string> answers() const;  ///< all first answers, sorted
};

/// Reads a data set's folder: Strata's own `manifest.jsonl` or easy-VQA's layout
/// (`train/questions.json`, `test/questions.json`, `train/images/ID.png`), by what is there.
/// @throws InputError: no known layout (naming what was looked for); a line that is no JSON object
/// (file and line), an unknown or missing key, an unknown split, no answer, an image that does not
/// exist (file, line, path).
Manifest load_data(const std::filesystem::path& folder);

/// The two readers behind load_data.
Manifest read_manifest(const std::filesystem::path& folder);
Manifest read_easy_vqa(const std::filesystem::path& folder);

/// `manifest.jsonl` and `dataset.json` ({"version":1,"name":…,"synthetic":…}). @throws WorkError
void write_manifest(const Manifest& manifest);
/// `manifest.jsonl` alone, for a writer that describes its set more fully. @throws WorkError
void write_manifest_lines(const Manifest& manifest);

}  // namespace strata
