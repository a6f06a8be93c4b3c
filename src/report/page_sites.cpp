#include "report/page.h"

#include <cmath>
#include <map>

#include "core/text.h"
#include "report/run_statistics.h"

namespace strata::report {
namespace {

using fedrunner::kAllRow, fedrunner::SiteSlice;

const std::string kSliceFigure = "fig-slices";
constexpr int kSliceWidth = 240, kSliceTitle = 18;  // CSS pixels
constexpr const char* kModelDashes = "5,3";

std::vector<std::string> class_names(const Experiment& experiment) {
  std::vector<std::string> names;
  for (const RunFolder& run : experiment.runs) {
    for (const auto& [round, table] : run.sites) {
      for (const std::string& name :
           distinct(table.rows, [](const fedrunner::SiteMetrics& row) { return row.class_name; }))
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

/// Of the main metric, in percent; NaN where the client has no such volume.
double class_value(const RunFolder& run, int round, const std::string& client,
                   const std::string& class_name) {
  const auto table = run.sites.find(round);
  if (table == run.sites.end()) return kNaN;
  for (const fedrunner::SiteMetrics& row : table->second.rows)
    if (row.client == client && row.class_name == class_name) return 100 * row.values.front();
  return kNaN;
}

/// The evaluated round, the first of several, in which all clients together are best.
int best_round(const RunFolder& run) {
  int best = 0;
  for (int round = 1; round <= run.rounds; ++round) {
    const double value = accuracy(run, round, kAllRow);
    if (!std::isnan(value) && !(value <= accuracy(run, best, kAllRow))) best = round;
  }
  return best;
}

using RoundOf = int (*)(const RunFolder&);

double site_mean(const Runs& runs, RoundOf round, const std::string& client) {
  return over(runs, [&](const RunFolder& run) { return accuracy(run, round(run), client); }).mean;
}

/// "site 3 (12.5 %)" of the site where the strategy does least well.
std::string worst_site(const Page& page, const Runs& runs, RoundOf round) {
  std::string worst = "none";
  double least = kNaN;
  for (const std::string& client : page.primary.clients) {
    const double value = site_mean(runs, round, client);
    if (std::isnan(value) || value >= least) continue;
    least = value;
    worst = client;
  }
  return worst + " (" + text(least, 1) + " %)";
}

HtmlTable site_table(const Page& page, const std::vector<std::string>& classes) {
  const std::pair<RoundOf, const char*> rounds[] = {{final_round, "last"}, {best_round, "best"}};
  HtmlTable table;
  table.id = "table-sites";
  table.left_columns = 2;
  table.header = {"strategy", "site"};
  for (const auto& [round, name] : rounds) {
    for (const std::string& class_name : classes) table.header.push_back(class_name + ", " + name);
    table.header.push_back(std::string("mean, ") + name);
  }
  for (const std::string& strategy : page.experiment.strategies) {
    const Runs runs = page.experiment.of(strategy);
    for (const std::string& client : page.primary.clients) {
      std::vector<std::string> row = {strategy, client};
      for (const auto& [round, name] : rounds) {
        for (const std::string& class_name : classes) {
          const auto value = [&, round = round](const RunFolder& run) {
            return class_value(run, round(run), client, class_name);
          };
          row.push_back(text(over(runs, value).mean, 1));
        }
        row.push_back(text(site_mean(runs, round, client), 1));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

std::string worst_sites(const Page& page) {
  std::vector<std::string> parts;
  for (const std::string& strategy : page.experiment.strategies) {
    const Runs runs = page.experiment.of(strategy);
    parts.push_back(strategy + ": " + worst_site(page, runs, final_round) + ", in the best round " +
                    worst_site(page, runs, best_round));
  }
  return "The worst site after the last evaluated round – " + joined(parts, "; ") + ".";
}

std::string base64(std::string_view bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    unsigned three = 0;
    for (std::size_t i = 0; i < 3; ++i)
      three = three << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i)
      text += at + i <= bytes.size() ? kDigits[three >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

/// The image itself the first time, later a reference to it: strategies show the same one.
class SliceImages {
 public:
  std::string of(const SiteSlice& slice) {
    const auto [known, is_new] =
        ids_.emplace(slice.image, kSliceFigure + "-image-" + std::to_string(ids_.size() + 1));
    if (!is_new) return "<use href=\"#" + known->second + "\"/>";
    return "<image id=\"" + known->second + "\" width=\"" + std::to_string(slice.width) +
           "\" height=\"" + std::to_string(slice.height) +
           "\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64," +
           base64(slice.image) + "\"/>";
  }

 private:
  std::map<std::string, std::string> ids_;
};

std::string outline_path(const std::string& data, const std::string& colour, const char* dashes) {
  if (data.empty()) return "";
  return "<path d=\"" + data + "\" fill=\"none\" stroke=\"" + colour +
         "\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\"" +
         (*dashes ? std::string(" stroke-dasharray=\"") + dashes + "\"" : "") + "/>";
}

std::string slice_panel(const RunFolder& run, const SiteSlice& slice,
                        const std::vector<std::string>& classes, SliceImages& images) {
  const double scale = static_cast<double>(kSliceWidth) / static_cast<double>(slice.width);
  const int height =
      kSliceTitle + static_cast<int>(std::ceil(scale * static_cast<double>(slice.height)));
  const std::string size = std::to_string(kSliceWidth), rows = std::to_string(height);
  const std::string title = slice.client + ", " + run.strategy;
  std::string svg = "<svg role=\"img\" aria-label=\"" +
                    escape_html("Slice " + std::to_string(slice.slice + 1) + " of " + slice.volume +
                                ": " + title) +
                    "\" width=\"" + size + "\" height=\"" + rows + "\" viewBox=\"0 0 " + size +
                    " " + rows + "\"><text x=\"0\" y=\"13\" font-size=\"12\" fill=\"" +
                    themed(kInk) + "\">" + escape_html(shortened(title, 36)) +
                    "</text><g transform=\"translate(0 " + std::to_string(kSliceTitle) +
                    ") scale(" + text(scale, 4) + ")\">" + images.of(slice);
  for (const auto& outlines : slice.classes) {
    const auto place = static_cast<std::size_t>(
        std::find(classes.begin(), classes.end(), outlines.class_name) - classes.begin());
    const std::string colour = series_colour(place);
    svg += outline_path(outlines.truth, colour, "") +
           outline_path(outlines.prediction, colour, kModelDashes);
  }
  return svg + "</g></svg>";
}

/// Of the site's slice in the first run of each strategy that has one.
std::vector<std::string> slice_row(const Page& page, const std::string& client,
                                   const std::vector<std::string>& classes, SliceImages& images) {
  std::vector<std::string> row;
  for (const std::string& strategy : page.experiment.strategies) {
    const RunFolder& run = *page.experiment.of(strategy).front();
    for (const SiteSlice& slice : run.slices.slices)
      if (slice.client == client) row.push_back(slice_panel(run, slice, classes, images));
  }
  return row;
}

}  // namespace

void add_sites(Page& page) {
  const auto classes = class_names(page.experiment);
  if (classes.empty()) return;
  page.section("The sites");
  page.paragraph(worst_sites(page));
  page.body += html(site_table(page, classes));
  page.paragraph(
      "The " + page.result.metric +
          " of each class on each site's own test volumes, in percent, and the mean over the "
          "classes: after the last evaluated round and in the evaluated round in which all sites "
          "together are best" +
          std::string(page.several_seeds() ? ", of each seed; means over the seeds." : "."),
      "note");
  SliceImages images;
  std::vector<std::vector<std::string>> rows;
  for (const std::string& client : page.primary.clients) {
    auto row = slice_row(page, client, classes, images);
    if (!row.empty()) rows.push_back(std::move(row));
  }
  if (rows.empty()) return;
  std::vector<LegendEntry> legend;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    legend.push_back({classes[i] + ", true", series_colour(i), Mark::kLine, true});
    legend.push_back(
        {classes[i] + ", the model's", series_colour(i), Mark::kDash, true, kModelDashes});
  }
  page.body += html_figure(
      kSliceFigure, html_legend(legend), rows,
      "Of each site's test volumes the one with the largest true mask: the middle slice of that "
      "mask, after the last round" +
          std::string(page.several_seeds() ? " of each strategy's first seed." : "."),
      Panels::kNatural);
}

void add_published_traffic(Page& page) {
  if (class_names(page.experiment).empty()) return;
  constexpr double kFactor = 800, kGibi = 1024.0 * 1024 * 1024;
  HtmlTable table;
  table.id = "table-published-traffic";
  table.header = {"strategy",
                  "weights a client sends in a round",
                  "weights · 800 / 2³⁰",
                  "25 rounds of 32 bits up, GiB",
                  "100 rounds of 4 bytes up and down, GiB",
                  "measured: rounds",
                  "measured: up, GiB",
                  "measured: up and down, GiB"};
  for (const std::string& name : page.experiment.strategies) {
    const Runs runs = page.experiment.of(name);
    const auto bits = [&](double fedrunner::RoundMetrics::*value) {
      return over(runs,
                  [&](const RunFolder& run) {
                    return 1e6 * total(run, value) / static_cast<double>(run.clients.size());
                  })
          .mean;
    };
    const double rounds = over(runs, [](const RunFolder& run) { return run.rounds; }).mean;
    const double up = bits(&fedrunner::RoundMetrics::up_mbit),
                 down = bits(&fedrunner::RoundMetrics::down_mbit);
    const double weights = rounds > 0 ? up / 32 / rounds : kNaN;
    const double product = kFactor * weights / kGibi;
    table.rows.push_back({name, std::isnan(weights) ? "–" : grouped(std::llround(weights)),
                          text(product, 4), text(product / 8, 4), text(product, 4), text(rounds, 0),
                          text(up / 8 / kGibi, 4), text((up + down) / 8 / kGibi, 4)});
  }
  page.body += html_details("As FLAP-SAM's paper counts", html(table));
  page.paragraph(
      "What one client sends, as \"A Federated Learning-Friendly Approach for PEFT of SAM in 3D "
      "Segmentation\" (2407.21739) prints it: weights times 800, over 2³⁰, in GB. The paper does "
      "not say what 800 is. Of 25 rounds of 32 bits one way, as many as its figure names, the "
      "product is in gigabits, an eighth of that in gigabytes; of 100 rounds of 4 bytes both "
      "ways, as many as its code has, it is in gigabytes. Measured is what a client of this run "
      "sent and received, scores and second numbers of an algorithm among it.",
      "note");
}

}  // namespace strata::report
