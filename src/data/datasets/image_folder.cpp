// ImageFolder, as torchvision (torchvision.datasets.ImageFolder) and Hugging Face's datasets
// ("imagefolder") read it: a folder for every split, and in it either
// - a folder for every class, with the class's images: train/nodule/0001.png; or
// - `metadata.jsonl` or `metadata.csv` beside the images, or above them: one image a line, by the
//   keys file_name (path from the split's folder), `label` (a text) or, in metadata.jsonl, `labels`
//   (a list of texts, empty where the image shows none of the classes), and optionally one of
//   client, site and modality, which is who holds the image.
//
// The splits' folders have the names that Hugging Face's datasets know (SPLIT_KEYWORDS of
// datasets/data_files.py): train or training, validation, valid, dev or val, and test, testing,
// eval or evaluation. Classes are sorted by their bytes, as both libraries sort them, over all
// splits. Images are known by their names' endings; both libraries take more formats, and those are
// refused, not passed over. What is in a folder in a class's folder has the outer folder's class in
// torchvision and the inner one's in Hugging Face's datasets, and is refused. Other files are
// passed over, as are files and folders whose names begin with "." or "__".
#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>

#include "core/csv.h"
#include "core/document.h"
#include "data/datasets/classes.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

namespace fs = std::filesystem;

struct SplitFolder {
  const char* name;
  const char* split;
};
constexpr SplitFolder kSplitFolders[] = {
    {"train", kTrainSplit},     {"training", kTrainSplit}, {"validation", kValidation},
    {"valid", kValidation},     {"dev", kValidation},      {"val", kValidation},
    {"test", kTestSplit},       {"testing", kTestSplit},   {"eval", kTestSplit},
    {"evaluation", kTestSplit},
};
constexpr const char* kJsonLines = "metadata.jsonl";
constexpr const char* kCsv = "metadata.csv";

const std::vector<std::string> kRead = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"};
const std::vector<std::string> kNotRead = {".webp", ".gif", ".ppm", ".pgm", ".pbm"};

bool has_ending(const fs::path& path, const std::vector<std::string>& endings) {
  return std::find(endings.begin(), endings.end(), lower_ascii(path.extension().string())) !=
         endings.end();
}

bool is_hidden(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.rfind(".", 0) == 0 || name.rfind("__", 0) == 0;
}

/// What is in the folder and not hidden, sorted. @throws InputError: a name that is not UTF-8.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_hidden(entry.path())) continue;
    if (!is_utf8(entry.path().filename().string()))
      throw InputError(folder.string() + ": the name of a file or folder in it is not valid UTF-8");
    entries.push_back(entry.path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool holds_image(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder))
    if (has_ending(entry.path(), kRead)) return true;
  return false;
}

bool has_metadata(const fs::path& folder) {
  return fs::exists(folder / kJsonLines) || fs::exists(folder / kCsv);
}

/// Whether the folder of a split has metadata, or a class with an image. One that is a data set of
/// its own is no split.
bool is_split(const fs::path& folder) {
  if (!fs::is_directory(folder) || find_inner_dataset(folder)) return false;
  if (has_metadata(folder)) return true;
  const auto classes = folders_in(folder);
  return std::any_of(classes.begin(), classes.end(), holds_image);
}

bool is_image_folder(const fs::path& folder) {
  return std::any_of(std::begin(kSplitFolders), std::end(kSplitFolders),
                     [&](const SplitFolder& split) { return is_split(folder / split.name); });
}

/// The column that says who holds an image: the same one, or none, for all lines of a set.
class ClientField {
 public:
  /// @throws InputError: two columns, or not the one that the set had before.
  std::string read(ObjectReader& reader, const std::string& fallback) {
    std::string found;
    for (const char* key : {"client", "site", "modality"}) {
      if (!reader.has(key)) continue;
      if (!found.empty())
        reader.fail(key, "stands beside \"" + found + "\"; one of them says who holds the image");
      found = key;
    }
    if (!key_) key_ = found;
    if (found.empty() && !key_->empty())
      reader.missing(*key_, "a text, as the images before have,");
    if (found != *key_)
      reader.fail(found, "the images before it have " +
                             (key_->empty() ? std::string("none") : "\"" + *key_ + "\""));
    return found.empty() ? fallback : reader.filled_text(found);
  }

 private:
  std::optional<std::string> key_;
};

class ImageFolderReader {
 public:
  ImageFolderReader(const fs::path& folder, const LoadOptions& options)
      : questions_only_(options.questions_only) {
    manifest_.folder = folder;
    manifest_.name = folder_name(folder);
  }

  Manifest read() {
    for (const SplitFolder& split : kSplitFolders) {
      if (!fs::is_directory(manifest_.folder / split.name)) continue;
      const auto [other, added] = folders_.emplace(split.split, split.name);
      if (!added)
        throw InputError(manifest_.folder.string() + ": " + other->second + "/ and " + split.name +
                         "/ are the same split; keep one");
      const bool metadata = has_metadata(manifest_.folder / split.name);
      if (metadata_.value_or(metadata) != metadata)
        throw InputError((manifest_.folder / split.name).string() + ": has " +
                         (metadata ? "metadata, the splits before it folders of classes"
                                   : "folders of classes, the splits before it metadata"));
      metadata_ = metadata;
      if (metadata)
        read_metadata(split);
      else
        read_class_folders(split);
    }
    require_splits();
    manifest_.multi_label = labels_.multi_label();
    settle_classes(manifest_);
    settle_validation(manifest_);
    note_untrained_classes();
    return std::move(manifest_);
  }

 private:
  /// @throws InputError
  void read_class_folders(const SplitFolder& split) {
    const fs::path folder = manifest_.folder / split.name;
    bool any = false;
    for (const fs::path& entry : entries_of(folder)) {
      if (fs::is_directory(entry)) {
        read_class(split, entry);
        any = true;
      } else if (has_ending(entry, kRead)) {
        throw InputError(entry.string() +
                         ": an image without a class: it is in no class's folder, "
                         "and there is no " +
                         kJsonLines + " beside it");
      }
    }
    if (!any)
      throw InputError(folder.string() + ": no folder of a class in it, no " + kJsonLines +
                       " and no " + kCsv);
  }

  void read_class(const SplitFolder& split, const fs::path& folder) {
    bool any = false;
    const std::string name = folder.filename().string();
    for (const fs::path& entry : entries_of(folder)) {
      if (fs::is_directory(entry))
        throw InputError(entry.string() +
                         ": a folder in a class's folder; torchvision takes the outer one for the "
                         "class, Hugging Face's datasets the inner one");
      refuse_other_formats(entry);
      if (!has_ending(entry, kRead)) continue;
      any = true;
      add(split, std::string(split.name) + "/" + name + "/" + entry.filename().string(), {name},
          manifest_.name);
    }
    if (!any)
      throw InputError(folder.string() +
                       ": no image in this class's folder; its files' names end in " +
                       quoted_list(kRead));
  }

  static void refuse_other_formats(const fs::path& file) {
    if (has_ending(file, kNotRead))
      throw InputError(file.string() +
                       ": images of this format cannot be read, those can whose names "
                       "end in " +
                       quoted_list(kRead));
  }

  /// @throws InputError
  void read_metadata(const SplitFolder& split) {
    const fs::path folder = manifest_.folder / split.name;
    const fs::path lines = folder / kJsonLines, csv = folder / kCsv;
    if (fs::exists(lines) && fs::exists(csv))
      throw InputError(lines.string() + " and " + kCsv + " beside it say the same; keep one");
    std::unordered_set<std::string> named;
    const auto read = [&](const Document& line) { read_line(split, line, named); };
    if (fs::exists(lines))
      for_each_json_line(lines, read);
    else
      for_each_csv_row(csv, read);
    const fs::path& file = fs::exists(lines) ? lines : csv;
    if (named.empty()) throw InputError(file.string() + ": no image in it");
    note_unnamed(folder, file, named);
  }

  void read_line(const SplitFolder& split, const Document& line,
                 std::unordered_set<std::string>& named) {
    ObjectReader reader(line);
    const std::string file_name = reader.filled_text("file_name");
    auto labels = labels_.read(reader);
    const std::string client = client_.read(reader, manifest_.name);
    reader.finish();
    const std::string image = std::string(split.name) + "/" + file_name;
    const std::string problem = image_problem(manifest_.folder, image, questions_only_);
    if (!problem.empty()) reader.fail("file_name", problem);
    if (!named.insert(fs::path(file_name).lexically_normal().string()).second)
      reader.fail("file_name", "\"" + file_name + "\" stands twice");
    add(split, image, std::move(labels), client);
  }

  /// Gives every row as a line of metadata.jsonl would be; an empty field is a key that is not
  /// there. @throws InputError
  static void for_each_csv_row(const fs::path& file,
                               const std::function<void(const Document&)>& use) {
    const std::vector<CsvRow> rows = read_csv(file);
    for (auto row = rows.begin() + 1; row != rows.end(); ++row) {
      Document line{file.string() + ":" + std::to_string(row->line), Json::object(), {}};
      for (std::size_t i = 0; i < row->fields.size(); ++i) {
        const std::string& key = rows.front().fields[i];
        if (line.root.contains(key))
          throw InputError(file.string() + ":" + std::to_string(rows.front().line) +
                           ": the column \"" + key + "\" stands twice");
        if (!row->fields[i].empty()) line.root[key] = row->fields[i];
      }
      use(line);
    }
  }

  void add(const SplitFolder& split, std::string image, std::vector<std::string> labels,
           const std::string& client) {
    Example example;
    example.image = std::move(image);
    example.split = split.split;
    example.client = client;
    example.labels = std::move(labels);
    manifest_.examples.push_back(std::move(example));
  }

  /// Images that lie there and that the metadata does not name. @throws InputError
  void note_unnamed(const fs::path& folder, const fs::path& file,
                    const std::unordered_set<std::string>& named) {
    std::int64_t count = 0;
    std::string first;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().lexically_relative(folder).generic_string();
      if (is_hidden(entry.path()) || !has_ending(entry.path(), kRead) || named.count(name))
        continue;
      first = ++count == 1 ? name : std::min(first, name);
    }
    if (count > 0)
      manifest_.notes.push_back(std::to_string(count) + (count == 1 ? " image is" : " images are") +
                                " left out: not named by " + file.string() + " (first: " + first +
                                ")");
  }

  void require_splits() const {
    if (folders_.count(kTrainSplit) == 0)
      throw InputError(manifest_.folder.string() +
                       ": ImageFolder without a training split: there is no folder train/ or "
                       "training/");
    if (folders_.count(kTestSplit) == 0 && folders_.count(kValidation) == 0)
      throw InputError(
          manifest_.folder.string() +
          ": ImageFolder without a test split: there is no folder test/, testing/, eval/ "
          "or evaluation/, nor one for validation");
  }

  /// A class that only the test has cannot be learned, which is no error of the folder's.
  void note_untrained_classes() {
    std::unordered_set<std::string> trained;
    for (const Example& example : manifest_.examples)
      if (example.trains()) trained.insert(example.labels.begin(), example.labels.end());
    std::vector<std::string> untrained;
    for (const std::string& name : manifest_.classes)
      if (trained.count(name) == 0) untrained.push_back(name);
    if (!untrained.empty())
      manifest_.notes.push_back("without a training image: " + quoted_list(untrained));
  }

  Manifest manifest_;
  bool questions_only_;
  std::map<std::string, std::string> folders_;  ///< by split
  LabelFields labels_;
  ClientField client_;
  std::optional<bool> metadata_;  ///< or class folders, in every split
};

Manifest read_image_folder(const fs::path& folder, const LoadOptions& options) {
  return ImageFolderReader(folder, options).read();
}

}  // namespace

Dataset image_folder() {
  return {"ImageFolder",    "train/CLASS/ with images or train/metadata.jsonl",
          is_image_folder,  read_image_folder,
          Reading::kLabels, /*deep=*/true};
}

}  // namespace strata::data
