#include "fedrunner/site_files.h"

#include "data/grey_png.h"
#include "fedrunner/outline.h"
#include "strata/fedrunner/round_folder.h"
#include "strata/fedrunner/sites.h"

namespace strata::fedrunner {
namespace {

std::filesystem::path site_file(const std::filesystem::path& run_folder, int round) {
  return round_folder(run_folder, round) / "sites.csv";
}

SiteTable site_table(const EvaluatedRound& evaluated, const std::vector<ClientSize>& clients,
                     const std::vector<EvaluateResult>& results) {
  SiteTable table{evaluated.task.metrics(), {}};
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const Tally& tally = results[i].tally;
    for (const std::string& class_name : evaluated.classes) {
      SiteMetrics row{clients[i].name, class_name, 0, {}};
      for (const std::string& metric : table.metrics) {
        const auto found = tally.find(metric + "/" + class_name);
        if (found == tally.end()) continue;
        row.volumes = static_cast<std::int64_t>(found->second.weight);
        row.values.push_back(found->second.mean());
      }
      if (row.values.size() == table.metrics.size()) table.rows.push_back(std::move(row));
    }
  }
  return table;
}

SiteSlice site_slice(const std::string& client, const tasks::ShownSlice& shown,
                     const std::vector<std::string>& classes) {
  const data::LabelPlanes& planes = shown.planes;
  SiteSlice slice;
  slice.client = client;
  slice.volume = shown.volume;
  slice.slice = shown.slice;
  slice.width = planes.width;
  slice.height = planes.height;
  slice.image = data::grey_png(planes.plane(0), static_cast<int>(planes.width),
                               static_cast<int>(planes.height));
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const auto around = [&](std::int64_t plane) {
      return outline(planes.plane(plane), planes.height, planes.width,
                     static_cast<std::uint8_t>(c + 1));
    };
    slice.classes.push_back({classes[c], around(1), around(2)});
  }
  return slice;
}

}  // namespace

void write_site_files(const EvaluatedRound& evaluated, const std::vector<ClientSize>& clients,
                      const std::vector<EvaluateResult>& results) {
  if (!tasks::shows_slices(evaluated.task)) return;
  write_sites(site_table(evaluated, clients, results),
              site_file(evaluated.run_folder, evaluated.round));
  SiteSlices slices{evaluated.round, {}};
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (results[i].slice)
      slices.slices.push_back(site_slice(clients[i].name, *results[i].slice, evaluated.classes));
  }
  if (!slices.slices.empty()) write_slices(slices, evaluated.run_folder / "slices");
}

void remove_site_files(const std::filesystem::path& run_folder, int round,
                       const std::function<bool(int round)>& evaluated) {
  for (int before = 0; before <= round; ++before)
    if (!evaluated(before)) std::filesystem::remove(site_file(run_folder, before));
}

}  // namespace strata::fedrunner
