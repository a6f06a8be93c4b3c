#pragma once
/// \file
/// The page of an experiment as it is put together, and what its sections share. Each section is a
/// function in a page_*.cpp.

#include <Eigen/Core>
#include <string>
#include <vector>

#include "report/figures.h"
#include "report/html.h"
#include "report/result.h"
#include "report/run_folder.h"
#include "strata/core/plan.h"

namespace strata::report {

constexpr int kPageWidth = 1060;  ///< CSS pixels inside the page's margins
constexpr const char* kInk = "#1f2328";
constexpr const char* kGrey = "#8c959f";
constexpr const char* kLightGrey = "#e9ecef";

/// Sections append to `body`.
struct Page {
  explicit Page(const Experiment& experiment)
      : experiment(experiment),
        primary(*experiment.of(experiment.strategies.front()).front()),
        result(result_of(experiment)) {}

  void section(const std::string& title);
  void paragraph(const std::string& content, const char* kind = "");
  /// Inlines one plot of the figure that is being put together.
  std::string panel(const std::string& figure, const std::string& svg, const std::string& label);

  std::size_t place(const std::string& strategy) const;
  std::string colour(const std::string& strategy) const;
  /// Colour and mark of every strategy, with its line and dashes if its figure has lines.
  std::vector<LegendEntry> strategy_legend(bool lines) const;
  /// "strategy f3ocus, seed 1": what the figures that show a single run add to their captions.
  std::string primary_name() const;
  bool several_seeds() const { return experiment.runs.size() > experiment.strategies.size(); }
  /// Every plan gives every unit to every client, as full fine-tuning does: a map of its assignment
  /// would be one even colour.
  bool trains_everything(const std::string& strategy) const;
  /// A plan's assignment in the page's order of clients and selectable units.
  Eigen::MatrixXd placed(const Plan& plan) const;

  const Experiment& experiment;
  const RunFolder& primary;  ///< shown in detail
  const Result result;
  std::string body;

 private:
  int panels_ = 0;
};

/// Cells that let `panels` such maps stand side by side on the page.
void fit(Heatmap& map, int panels);
/// Side by side while the cells stay readable, else one below the other.
int panels_in_a_row(std::size_t units);

/// First and last, or the only one.
template <typename T>
std::vector<T> ends(const std::vector<T>& all) {
  if (all.size() < 2) return all;
  return {all.front(), all.back()};
}

// page_setup.cpp: what was run
void add_heading(Page& page);
void add_settings(Page& page);

// page_accuracy.cpp: what it reached
void add_result(Page& page);
void add_client_accuracy(Page& page);

// page_sites.cpp: of segmentation, nothing of other tasks
/// Each site's classes, the worst site, and slices with outlines.
void add_sites(Page& page);
/// Traffic as FLAP-SAM's paper counts it, in both readings.
void add_published_traffic(Page& page);

// page_plans.cpp: who was to train what
void add_scores(Page& page);
void add_assignments(Page& page);
void add_coverage(Page& page);

// page_trade_off.cpp: importance and evenness of the plans
void add_usage(Page& page);
void add_fronts(Page& page);

// page_traffic.cpp: what was sent, and what did not arrive
void add_traffic(Page& page);
/// Nothing where no run misses an update.
void add_missing_updates(Page& page);

}  // namespace strata::report
