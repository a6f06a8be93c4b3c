#include "strata/fedrunner/sites.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/csv.h"
#include "core/document.h"
#include "core/text.h"
#include "fedrunner/csv_table.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/fedrunner/round_folder.h"

namespace strata::fedrunner {
namespace {

const std::vector<std::string> kSiteHead = {"client", "class", "volumes"};
constexpr std::int64_t kLargestSide = 65535;
constexpr const char* kIndex = "slices.json";

std::string image_name(std::size_t place) {
  return round_number(static_cast<int>(place)) + ".png";
}

std::string read_outline(ObjectReader& reader, const std::string& key) {
  const std::string path = reader.text(key);
  if (path.find_first_not_of("Mhvz 0123456789-") != std::string::npos)
    reader.fail(key, "is no outline: its data are made of M, h, v, z and whole numbers");
  return path;
}

SiteSlice read_slice(ObjectReader& reader, const std::filesystem::path& folder,
                     const std::string& image) {
  SiteSlice slice;
  slice.client = reader.filled_text("client");
  slice.volume = reader.text("volume");
  slice.slice = reader.integer("slice", 0, std::numeric_limits<std::int64_t>::max());
  slice.width = reader.integer("width", 1, kLargestSide);
  slice.height = reader.integer("height", 1, kLargestSide);
  for (ObjectReader& outlines : reader.objects("classes")) {
    slice.classes.push_back({outlines.filled_text("class"), read_outline(outlines, "truth"),
                             read_outline(outlines, "prediction")});
    outlines.finish();
  }
  reader.finish();
  slice.image = read_file(folder / image);
  if (!slice.image.starts_with("\x89PNG\r\n\x1a\n"))
    throw InputError((folder / image).string() + ": is no PNG image");
  return slice;
}

}  // namespace

void write_sites(const SiteTable& table, const std::filesystem::path& path) {
  AtomicFile file(path);
  auto& out = file.stream();
  out << joined(kSiteHead, ",");
  for (const std::string& metric : table.metrics) out << ',' << csv_field(metric);
  out << '\n';
  for (const SiteMetrics& row : table.rows) {
    out << csv_field(row.client) << ',' << csv_field(row.class_name) << ',' << row.volumes;
    for (const double value : row.values) {
      out << ',';
      if (!std::isnan(value)) out << format_double(value);
    }
    out << '\n';
  }
  file.commit();
}

SiteTable read_sites(const std::filesystem::path& path) {
  const CsvTable file(path);
  const std::vector<std::string>& header = file.header();
  if (header.size() <= kSiteHead.size() ||
      !std::equal(kSiteHead.begin(), kSiteHead.end(), header.begin()))
    file.refuse_header(joined(kSiteHead, ",") + ",(metrics of the task)");
  SiteTable table;
  table.metrics.assign(header.begin() + static_cast<std::ptrdiff_t>(kSiteHead.size()),
                       header.end());
  for (std::size_t i = 1; i <= file.count(); ++i) {
    SiteMetrics row{file.text(i, 0), file.text(i, 1), file.integer(i, 2), {}};
    for (std::size_t column = kSiteHead.size(); column < header.size(); ++column)
      row.values.push_back(file.number(i, column));
    table.rows.push_back(std::move(row));
  }
  return table;
}

void write_slices(const SiteSlices& slices, const std::filesystem::path& folder) {
  Json list = Json::array();
  for (std::size_t i = 0; i < slices.slices.size(); ++i) {
    const SiteSlice& slice = slices.slices[i];
    Json classes = Json::array();
    for (const SiteOutlines& outlines : slice.classes)
      classes.push_back({{"class", outlines.class_name},
                         {"truth", outlines.truth},
                         {"prediction", outlines.prediction}});
    list.push_back({{"client", slice.client},
                    {"volume", slice.volume},
                    {"slice", slice.slice},
                    {"width", slice.width},
                    {"height", slice.height},
                    {"classes", std::move(classes)}});
    write_file(folder / image_name(i), slice.image);
  }
  const Json root{{"version", 1}, {"round", slices.round}, {"slices", std::move(list)}};
  write_file(folder / kIndex, root.dump(1) + "\n");
}

SiteSlices read_slices(const std::filesystem::path& folder) {
  const Document document = load_json(folder / kIndex);
  ObjectReader reader(document);
  reader.version(1);
  SiteSlices slices;
  slices.round =
      static_cast<int>(reader.integer("round", 0, std::numeric_limits<std::int32_t>::max()));
  for (ObjectReader& slice : reader.objects("slices"))
    slices.slices.push_back(read_slice(slice, folder, image_name(slices.slices.size())));
  reader.finish();
  return slices;
}

}  // namespace strata::fedrunner
