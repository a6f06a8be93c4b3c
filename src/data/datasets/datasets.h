#pragma once
/// \file
/// The table of the formats that data sets are published in. To add one, write its reader as
/// datasets/x.cpp (with datasets/published.h), declare it here and give it a row in datasets.cpp.
/// Each reader's source says which files and fields it reads, where they were published and what
/// could not be verified. Internal.

#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace strata::data {

struct Dataset {
  const char* name;  ///< "VQA-RAD"
  const char*
      layout;  ///< what it is recognised by, for the message that nothing was: "qas/train/…"
  /// Looks at file names only.
  bool (*is_here)(const std::filesystem::path& folder);
  /// Is never asked for what `offers` does not have. @throws InputError
  Manifest (*read)(const std::filesystem::path& folder, const LoadOptions& options);
  Reading offers = Reading::kQuestions;  ///< kEither: questions and labels
  /// Its files may lie in folders of the folder, where they must not hide the data sets beside
  /// them: it is looked for where no folder in the folder is a data set of its own.
  bool deep = false;
  bool texts = false;  ///< images with labels have texts, or may have
  bool masks = false;  ///< its examples may be volumes with masks besides what `offers` says
};

/// The format of the folder's own files, or null. Where several would do, the table's first.
const Dataset* find_dataset(const std::filesystem::path& folder);
/// The same of a folder within a folder of data sets: a deep one is found whatever lies beside it.
const Dataset* find_inner_dataset(const std::filesystem::path& folder);

/// Why a set of this format cannot be read as `reading`, or "": "it has questions, no labels".
std::string reading_problem(const Dataset& dataset, Reading reading);

/// "LAYOUT (NAME)" for every row.
std::vector<std::string> known_layouts();

/// The folders in a folder, sorted.
std::vector<std::filesystem::path> folders_in(const std::filesystem::path& folder);

/// The name of a set that has no other: its folder's.
std::string folder_name(const std::filesystem::path& folder);

/// The readers, one a file of its name.
Dataset busi();
Dataset easy_vqa();
Dataset fed_isic2019();
Dataset fed_kits19();
Dataset fitzpatrick17k();
Dataset ham10000();
Dataset image_folder();
Dataset ixi_tiny();
Dataset medmnist();
Dataset mimic_cxr();
Dataset omni_med_vqa();
Dataset open_i();
Dataset nnunet_raw();
Dataset own_layout();
Dataset path_vqa();
Dataset prostate_sites();
Dataset rsna_pneumonia();
Dataset slake();
Dataset smdg19();
Dataset vqa_med();
Dataset vqa_rad();

}  // namespace strata::data
