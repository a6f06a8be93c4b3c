// Open-I, the Indiana University chest X-rays (Demner-Fushman et al. 2016, JAMIA 23(2)), as the
// National Library of Medicine publishes them (openi.nlm.nih.gov): NLMCXR_reports.tgz unpacks to
// `ecgen-radiology/N.xml`, a report each, and NLMCXR_png.tgz to PNG images, which lie in
// `NLMCXR_png/`, in `images/`, or beside `ecgen-radiology/`.
//
// Elements read: Abstract/AbstractText with the Label FINDINGS or IMPRESSION, which are the text;
// MeSH/major, whose part before the first "/" is a finding ("Opacity/lung/base/left"); the id of
// each parentImage, whose image is ID.png. Every image of a report is an example. Reports say what
// was taken out of them to hide names as "XXXX", which is kept. Findings are in small letters:
// "normal" is one of them; "no indexing" says that nobody has indexed the report, which is then
// left out, and "technical quality of image unsatisfactory" is about no finding.
//
// Names and elements were taken from public programs that read the published files, and from the
// reports that some of them print; terms end in blanks there, and one has two within
// ("Subcutaneous  Emphysema"). Not verified: the files themselves. There is no published split: one
// report in five, by a hash of its file's name, is for testing, with all its images.
#include <algorithm>
#include <pugixml.hpp>

#include "core/csv.h"
#include "data/datasets/classes.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReports = "ecgen-radiology";
constexpr const char* kNotIndexed = "no indexing";
constexpr const char* kNoFinding = "technical quality of image unsatisfactory";

bool is_open_i(const fs::path& folder) {
  return fs::is_directory(folder / kReports);
}

/// In the order of their numbers.
std::vector<fs::path> reports_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".xml") files.push_back(entry.path());
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    const std::string first = a.filename().string(), second = b.filename().string();
    return first.size() != second.size() ? first.size() < second.size() : first < second;
  });
  if (files.empty()) throw InputError(folder.string() + ": no .xml file in it");
  return files;
}

/// The folder's path from the set's, with "/" behind it where it is another.
std::string image_folder_in(const fs::path& folder) {
  for (const char* name : {"NLMCXR_png", "images"})
    if (fs::is_directory(folder / name)) return std::string(name) + "/";
  return "";
}

struct Report {
  std::string text;
  std::vector<std::string> findings;
  std::vector<std::string> images;  ///< their ids
  bool indexed = true;
};

std::string text_of(const pugi::xml_node& node) {
  return squeezed(node.text().as_string());
}

void read_term(const std::string& term, Report& report) {
  const std::string finding = lower_ascii(squeezed(term.substr(0, term.find('/'))));
  if (finding == kNotIndexed) report.indexed = false;
  if (finding.empty() || finding == kNotIndexed || finding == kNoFinding) return;
  const auto& known = report.findings;
  if (std::find(known.begin(), known.end(), finding) == known.end())
    report.findings.push_back(finding);
}

/// @throws InputError: no XML, not a report, text that is not UTF-8, an image without an id
Report read_report(const fs::path& file) {
  const std::string bytes = read_file(file);
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(bytes.data(), bytes.size());
  if (!parsed) {
    throw InputError(file.string() + ": byte " + std::to_string(parsed.offset) +
                     ": no XML: " + parsed.description());
  }
  const pugi::xml_node root = document.child("eCitation");
  if (!root) throw InputError(file.string() + ": no report: there is no element eCitation");
  Report report;
  const pugi::xml_node abstract = root.child("MedlineCitation").child("Article").child("Abstract");
  for (const pugi::xml_node& part : abstract.children("AbstractText")) {
    const std::string label = part.attribute("Label").as_string(), text = text_of(part);
    if ((label != "FINDINGS" && label != "IMPRESSION") || text.empty()) continue;
    report.text += (report.text.empty() ? "" : " ") + text;
  }
  for (const pugi::xml_node& term : root.child("MeSH").children("major"))
    read_term(text_of(term), report);
  for (const pugi::xml_node& image : root.children("parentImage")) {
    report.images.emplace_back(image.attribute("id").as_string());
    if (report.images.back().empty())
      throw InputError(file.string() + ": parentImage: the attribute \"id\" is missing");
  }
  for (const std::string& finding : report.findings)
    if (!is_utf8(finding)) throw InputError(file.string() + ": MeSH: a term is not valid UTF-8");
  if (!is_utf8(report.text)) throw InputError(file.string() + ": the text is not valid UTF-8");
  return report;
}

std::string why_left_out(const Report& report) {
  if (report.images.empty()) return "no image";
  if (!report.indexed) return "\"no indexing\" in place of findings";
  if (report.findings.empty()) return "no finding among its MeSH terms";
  return report.text.empty() ? "neither findings nor an impression in its text" : "";
}

Manifest read_open_i(const fs::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "open-i";
  manifest.multi_label = true;
  ImageCheck check_image(folder, options);
  LeftOut left_out;
  const std::string images = image_folder_in(folder);
  for (const fs::path& file : reports_in(folder / kReports)) {
    const Report report = read_report(file);
    if (const std::string why = why_left_out(report); !why.empty()) {
      left_out.add(why, file.string());
      continue;
    }
    for (const std::string& id : report.images) {
      Example example;
      example.image = images + id + ".png";
      example.text = report.text;
      example.labels = report.findings;
      example.split = hashed_split(file.stem().string());
      example.client = manifest.name;
      check_image(file.string(), "parentImage", example.image);
      manifest.examples.push_back(std::move(example));
    }
  }
  left_out.write(manifest);
  settle_classes(manifest);
  return manifest;
}

}  // namespace

Dataset open_i() {
  return {"Open-I",         "ecgen-radiology/N.xml", is_open_i,     read_open_i,
          Reading::kLabels, /*deep=*/false,          /*texts=*/true};
}

}  // namespace strata::data
