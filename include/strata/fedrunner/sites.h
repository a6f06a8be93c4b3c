#pragma once
/// \file
/// What a run of segmentation leaves of its sites: the metrics of each class in every evaluated
/// round, and of the last one a slice of a test volume each.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::fedrunner {

/// A class of a client's test volumes in one round.
struct SiteMetrics {
  std::string client, class_name;
  std::int64_t volumes = 0;
  std::vector<double> values;  ///< means over the volumes, one for each of SiteTable::metrics
};

/// rounds/NNN/sites.csv.
/// \code
/// write_sites({{"dice"}, {{"guys", "brain", 2, {0.5}}}}, "sites.csv");
/// assert(read_sites("sites.csv").rows.front().values.front() == 0.5);
/// \endcode
struct SiteTable {
  std::vector<std::string> metrics;  ///< the main one first
  std::vector<SiteMetrics> rows;     ///< by client, then by class
};

/// Header: client,class,volumes, then the metrics. @throws WorkError / InputError naming file, line
/// and column
void write_sites(const SiteTable& table, const std::filesystem::path& path);
SiteTable read_sites(const std::filesystem::path& path);

/// Where a class is in a slice, as data of an SVG path in pixels: closed lines along their edges.
/// "" where it is nowhere.
struct SiteOutlines {
  std::string class_name, truth, prediction;
};

struct SiteSlice {
  std::string client;
  std::string volume;      ///< the image's file
  std::int64_t slice = 0;  ///< of the volume, from 0
  std::int64_t width = 0, height = 0;
  std::string image;  ///< the bytes of a PNG
  std::vector<SiteOutlines> classes;
};

/// slices/ of a run folder.
struct SiteSlices {
  int round = 0;
  std::vector<SiteSlice> slices;  ///< one a client that has test volumes
};

/// slices.json, and beside it 000.png and so on, its images. slices.json is written last.
/// @throws WorkError
void write_slices(const SiteSlices& slices, const std::filesystem::path& folder);
/// @throws InputError naming the file: it is damaged, an image is missing or no PNG, an outline is
/// none.
SiteSlices read_slices(const std::filesystem::path& folder);

}  // namespace strata::fedrunner
