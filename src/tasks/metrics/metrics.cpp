#include "tasks/metrics/metrics.h"

#include <stdexcept>

#include "tasks/metrics/accuracy.h"
#include "tasks/metrics/auroc.h"
#include "tasks/metrics/balanced_accuracy.h"
#include "tasks/metrics/macro_f1.h"
#include "tasks/metrics/micro_f1.h"
#include "tasks/metrics/open_accuracy.h"
#include "tasks/metrics/token_overlap.h"
#include "tasks/metrics/yes_no_accuracy.h"

namespace strata::tasks {
namespace {

struct MetricRow {
  Metric metric;
  std::vector<std::string> tasks;
};

const std::string kAnswers = "answer_classification", kImages = "image_classification",
                  kImagesAndTexts = "image_text_classification", kWords = "answer_generation";

// A further metric is a file and a row.
// clang-format off
const std::vector<MetricRow>& rows() {
  static const std::vector<MetricRow> rows = {
      {accuracy(), {kAnswers, kImages, kImagesAndTexts, kWords}},
      {open_accuracy(), {kAnswers, kWords}},
      {closed_accuracy(), {kAnswers, kWords}},
      {yes_no_accuracy(), {kWords}},
      {balanced_accuracy(), {kImages, kImagesAndTexts}},
      {macro_f1(), {kImages, kImagesAndTexts}},
      {micro_f1(), {kImagesAndTexts}},
      {auroc(), {kImages, kImagesAndTexts}},
      {token_recall(), {kWords}},
      {token_f1(), {kWords}},
  };
  // clang-format on
  return rows;
}

}  // namespace

std::vector<const Metric*> metrics_of(const std::string& task) {
  std::vector<const Metric*> metrics;
  for (const MetricRow& row : rows()) {
    for (const std::string& of : row.tasks)
      if (of == task) metrics.push_back(&row.metric);
  }
  return metrics;
}

std::vector<std::string> metric_names(const std::string& task) {
  std::vector<std::string> names;
  for (const Metric* metric : metrics_of(task)) names.push_back(metric->name);
  return names;
}

const Metric& metric_of(const std::string& name) {
  for (const MetricRow& row : rows())
    if (row.metric.name == name) return row.metric;
  throw std::out_of_range(name);
}

}  // namespace strata::tasks
