// MIMIC-CXR-JPG (Johnson et al. 2019, arXiv 1901.07042) with the reports of MIMIC-CXR, as PhysioNet
// publishes them: `mimic-cxr-2.0.0-chexpert.csv`, `…-split.csv` and `…-metadata.csv`, packed by
// gzip
// (.csv.gz) or not, and images at `files/p10/p10000032/s50414267/DICOM_ID.jpg`; a study's report at
// `files/p10/p10000032/s50414267.txt`, where mimic-cxr-reports.zip of MIMIC-CXR puts it when it is
// unpacked in the same folder, or the same below `mimic-cxr-reports/`.
//
// Columns read: dicom_id, subject_id, study_id, split (train, validate, test); of the metadata
// ViewPosition; of the labels subject_id, study_id and one column a finding, fourteen as CheXpert's
// labeller has them: 1 is positive, 0 negative, -1 uncertain, nothing not mentioned. What is not
// positive is not a label (the policy U-zeros of Irvin et al. 2019, arXiv 1901.07031). Every
// frontal image (PA or AP) is an example; others are left out. A report's text is its sections
// whose names say FINDINGS or IMPRESSION, or the whole where it has none, with "___" where names
// were.
//
// Names and columns were taken from public programs that read these files. Not verified: the files
// themselves, which need a licence.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "data/datasets/classes.h"
#include "data/datasets/csv_table.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "data/gzip.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

namespace fs = std::filesystem;

const std::string kTables = "mimic-cxr-2.0.0-";
const std::string kSubject = "subject_id", kStudy = "study_id";

/// The table of this name, packed or not; empty where there is none.
fs::path table_file(const fs::path& folder, const std::string& name) {
  for (const char* ending : {".csv", ".csv.gz"}) {
    const fs::path file = folder / (kTables + name + ending);
    if (fs::exists(file)) return file;
  }
  return {};
}

bool is_mimic_cxr(const fs::path& folder) {
  return !table_file(folder, "chexpert").empty();
}

/// A published table, packed or not.
class MimicTable : public CsvTable {
 public:
  MimicTable(const fs::path& folder, const std::string& name)
      : MimicTable(folder, name, table_file(folder, name)) {}

  /// A number that names a folder. @throws InputError
  const std::string& id(std::size_t row, std::size_t column) const {
    const std::string& id = at(row, column);
    const bool digits =
        std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (id.size() < 2 || !digits) fail(row, column, "\"" + id + "\" is no number such as 10000032");
    return id;
  }

 private:
  MimicTable(const fs::path& folder, const std::string& name, const fs::path& file)
      : CsvTable(text_of(folder, name, file), file.string()) {}

  static std::string text_of(const fs::path& folder, const std::string& name,
                             const fs::path& file) {
    if (file.empty()) {
      throw InputError((folder / (kTables + name + ".csv")).string() +
                       ": no such file, and none of that name with .gz");
    }
    return read_gzip(file);
  }
};

/// Every study's positive findings, by its number.
using Findings = std::unordered_map<std::string, std::vector<std::string>>;

bool is_positive(const MimicTable& table, std::size_t row, std::size_t column) {
  const std::string& text = table.at(row, column);
  double value = 0;
  const bool number = text.empty() || parse_double(text, value);
  if (!number || (value != 0 && value != 1 && value != -1)) {
    table.fail(row, column, "\"" + text + "\" is not 1, 0, -1 or nothing");
  }
  return value == 1;
}

Findings read_findings(const fs::path& folder, std::vector<std::string>& classes) {
  const MimicTable table(folder, "chexpert");
  const std::size_t subject = table.column(kSubject), study = table.column(kStudy);
  Findings findings;
  for (std::size_t i = 0; i < table.columns().size(); ++i)
    if (i != subject && i != study) classes.push_back(table.columns()[i]);
  for (std::size_t row = 0; row < table.size(); ++row) {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < table.columns().size(); ++i)
      if (i != subject && i != study && is_positive(table, row, i))
        found.push_back(table.columns()[i]);
    if (!findings.emplace(table.id(row, study), std::move(found)).second)
      table.fail(row, study, "the study " + table.at(row, study) + " stands twice");
  }
  return findings;
}

/// Every image's ViewPosition, by its dicom_id.
std::unordered_map<std::string, std::string> read_views(const fs::path& folder) {
  const MimicTable table(folder, "metadata");
  const std::size_t image = table.column("dicom_id"), view = table.column("ViewPosition");
  std::unordered_map<std::string, std::string> views;
  for (std::size_t row = 0; row < table.size(); ++row)
    views.emplace(table.at(row, image), table.at(row, view));
  return views;
}

/// The name of the section that begins in this line, and behind it the line's rest; "" where none
/// does: capitals with blanks and ( ) / , - among them, then a colon.
std::string section_of(const std::string& line, std::string& rest) {
  const std::string text = trimmed(line);
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) return "";
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || std::string_view(" ()/,-").find(c) != std::string_view::npos;
  };
  if (!std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), fits))
    return "";
  rest = text.substr(colon + 1);
  return text.substr(0, colon);
}

std::string report_text(const std::string& report) {
  std::string wanted, all;
  bool inside = false;
  for (std::size_t begin = 0; begin < report.size();) {
    const std::size_t end = std::min(report.find('\n', begin), report.size());
    std::string line = report.substr(begin, end - begin);
    begin = end + 1;
    all += line + "\n";
    std::string rest;
    if (const std::string name = section_of(line, rest); !name.empty()) {
      inside = name.find("FINDINGS") != std::string::npos ||
               name.find("IMPRESSION") != std::string::npos;
      line = rest;
    }
    if (inside) wanted += line + "\n";
  }
  const std::string sections = squeezed(wanted);
  return sections.empty() ? squeezed(all) : sections;
}

class MimicReader {
 public:
  MimicReader(const fs::path& folder, const LoadOptions& options)
      : folder_(folder), check_image_(folder, options) {
    manifest_.folder = folder;
    manifest_.name = "mimic-cxr-jpg";
    manifest_.multi_label = true;
  }

  Manifest read() {
    const Findings findings = read_findings(folder_, manifest_.classes);
    const auto views = read_views(folder_);
    const MimicTable table(folder_, "split");
    const std::size_t image = table.column("dicom_id"), subject = table.column(kSubject),
                      study = table.column(kStudy), split = table.column("split");
    for (std::size_t row = 0; row < table.size(); ++row) {
      const auto view = views.find(table.at(row, image));
      const auto own = findings.find(table.at(row, study));
      if (view == views.end() || (view->second != "PA" && view->second != "AP")) {
        left_out_.add("no frontal view (PA or AP)", table.place(row));
      } else if (own == findings.end()) {
        left_out_.add("the study has no labels", table.place(row));
      } else {
        const std::string& person = table.id(row, subject);
        const std::string at = "p" + person.substr(0, 2) + "/p" + person + "/s" + own->first;
        Example example;
        example.image = "files/" + at + "/" + table.at(row, image) + ".jpg";
        example.labels = own->second;
        example.patient = person;
        example.split = split_of(table, row, split);
        add(std::move(example), at, table.place(row));
      }
    }
    if (manifest_.examples.empty()) throw InputError(folder_.string() + ": no example in it");
    left_out_.write(manifest_);
    settle_classes(manifest_);
    settle_validation(manifest_);
    return std::move(manifest_);
  }

 private:
  static const char* split_of(const MimicTable& table, std::size_t row, std::size_t column) {
    static const std::map<std::string, const char*> splits = {
        {"train", kTrainSplit}, {"validate", kValidation}, {"test", kTestSplit}};
    const auto found = splits.find(table.at(row, column));
    if (found == splits.end()) {
      table.fail(
          row, column,
          "\"" + table.at(row, column) + "\" is not one of \"train\", \"validate\", \"test\"");
    }
    return found->second;
  }

  /// `at` is the study's place below files/.
  void add(Example example, const std::string& at, const std::string& where) {
    example.text = text_of(at, where);
    example.client = manifest_.name;
    if (example.text.empty()) {
      left_out_.add("the report has no text", where);
      return;
    }
    check_image_(where, "dicom_id", example.image);
    manifest_.examples.push_back(std::move(example));
  }

  /// Images of one study often follow each other.
  const std::string& text_of(const std::string& at, const std::string& where) {
    if (at == last_study_) return last_text_;
    for (const char* below : {"files/", "mimic-cxr-reports/files/"}) {
      const fs::path file = folder_ / below / (at + ".txt");
      if (!fs::exists(file)) continue;
      last_study_ = at;
      last_text_ = report_text(read_file(file));
      if (!is_utf8(last_text_)) throw InputError(file.string() + ": the text is not valid UTF-8");
      return last_text_;
    }
    throw InputError(where + ": study_id: the report " +
                     (folder_ / "files" / (at + ".txt")).string() +
                     " does not exist, nor below mimic-cxr-reports/: MIMIC-CXR has the reports");
  }

  fs::path folder_;
  Manifest manifest_;
  ImageCheck check_image_;
  LeftOut left_out_;
  std::string last_study_, last_text_;
};

Manifest read_mimic_cxr(const fs::path& folder, const LoadOptions& options) {
  return MimicReader(folder, options).read();
}

}  // namespace

Dataset mimic_cxr() {
  return {"MIMIC-CXR-JPG",  "mimic-cxr-2.0.0-chexpert.csv or .csv.gz",
          is_mimic_cxr,     read_mimic_cxr,
          Reading::kLabels, /*deep=*/false,
          /*texts=*/true};
}

}  // namespace strata::data
