#include "strata/fedrunner/benchmark_results.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/console.h"
#include "core/csv.h"
#include "core/document.h"
#include "core/fields.h"
#include "strata/core/atomic_file.h"

namespace strata::fedrunner {
namespace {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();
constexpr const char *kJson = "benchmark.json", *kCsv = "benchmark.csv", *kNone = "–";

Json to_json(const BenchmarkCell& cell) {
  Json runs = Json::array();
  for (const BenchmarkRun& run : cell.runs)
    runs.push_back({{"seed", run.seed},
                    {"score", number_or_null(run.score)},
                    {"start", number_or_null(run.start)},
                    {"up_mbit", run.up_mbit},
                    {"down_mbit", run.down_mbit},
                    {"seconds", run.seconds}});
  Json json{{"backbone", cell.backbone},
            {"method", cell.method},
            {"fraction", cell.fraction},
            {"folder", cell.folder},
            {"fingerprint", cell.fingerprint},
            {"trained_parameters", cell.trained_parameters},
            {"learning_rate", number_or_null(cell.learning_rate)},
            {"runs", runs}};
  if (!cell.failure.empty()) json["failure"] = cell.failure;
  return json;
}

double number_or_none(ObjectReader& reader, const std::string& key) {
  if (reader.raw(key).is_null()) return kNoValue;
  return reader.number(key, -std::numeric_limits<double>::infinity(),
                       std::numeric_limits<double>::infinity());
}

BenchmarkCell read_cell(ObjectReader reader) {
  BenchmarkCell cell{reader.text("backbone"), reader.text("method"),
                     reader.number("fraction", 0, 1), reader.text("folder"),
                     reader.text("fingerprint")};
  cell.trained_parameters =
      reader.integer("trained_parameters", 0, std::numeric_limits<std::int64_t>::max());
  cell.learning_rate = number_or_none(reader, "learning_rate");
  cell.failure = reader.text("failure", "");
  for (ObjectReader& run : reader.objects("runs")) {
    const std::uint64_t seed = run.seed("seed");
    const double score = number_or_none(run, "score"), start = number_or_none(run, "start");
    const double up = number_or_none(run, "up_mbit"), down = number_or_none(run, "down_mbit");
    cell.runs.push_back({seed, score, start, up, down, number_or_none(run, "seconds")});
    run.finish();
  }
  reader.finish();
  return cell;
}

std::string csv_text(const BenchmarkResults& results) {
  std::string text = "backbone,method,fraction,seed,learning_rate,trained_parameters,start," +
                     csv_field(results.score) + ",up_mbit,down_mbit,seconds\n";
  const auto number = [](double value) { return std::isnan(value) ? "" : format_double(value); };
  for (const BenchmarkCell& cell : results.cells)
    for (const BenchmarkRun& run : cell.runs)
      text += csv_field(cell.backbone) + "," + csv_field(cell.method) + "," +
              number(cell.fraction) + "," + std::to_string(run.seed) + "," +
              number(cell.learning_rate) + "," + std::to_string(cell.trained_parameters) + "," +
              number(run.start) + "," + number(run.score) + "," + number(run.up_mbit) + "," +
              number(run.down_mbit) + "," + number(run.seconds) + "\n";
  return text;
}

template <typename Value>
double mean_of(const std::vector<BenchmarkRun>& runs, Value value) {
  if (runs.empty()) return kNoValue;
  double sum = 0;
  for (const BenchmarkRun& run : runs) sum += value(run);
  return sum / static_cast<double>(runs.size());
}

double mean_score(const BenchmarkCell& cell) {
  return mean_of(cell.runs, [](const BenchmarkRun& run) { return run.score; });
}

double deviation(const BenchmarkCell& cell) {
  if (cell.runs.size() < 2) return kNoValue;
  const double mean = mean_score(cell);
  double squares = 0;
  for (const BenchmarkRun& run : cell.runs) squares += (run.score - mean) * (run.score - mean);
  return std::sqrt(squares / static_cast<double>(cell.runs.size() - 1));
}

/// Of every method of a backbone and a fraction; what has no score is last.
std::map<std::string, double> places(const BenchmarkResults& results, const std::string& backbone,
                                     double fraction) {
  std::map<std::string, double> scores, found;
  for (const BenchmarkCell& cell : results.cells) {
    if (cell.backbone != backbone || cell.fraction != fraction) continue;
    const double score = mean_score(cell);
    scores[cell.method] = std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
  }
  for (const auto& [method, score] : scores) {
    double better = 0, equal = 0;
    for (const auto& [other, theirs] : scores) {
      better += theirs > score;
      equal += theirs == score;
    }
    found[method] = better + (equal + 1) / 2;
  }
  return found;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

BenchmarkRow row_of(const BenchmarkResults& results, const std::string& backbone,
                    const std::string& method) {
  BenchmarkRow row{backbone, method};
  std::vector<double> ranks;
  for (const double fraction : results.fractions) {
    const BenchmarkCell* cell = results.find(backbone, method, fraction);
    row.means.push_back(cell ? mean_score(*cell) : kNoValue);
    row.deviations.push_back(cell ? deviation(*cell) : kNoValue);
    row.learning_rates.push_back(cell && !cell->runs.empty() ? cell->learning_rate : kNoValue);
    ranks.push_back(cell ? places(results, backbone, fraction).at(method) : kNoValue);
    if (!cell || row.trained_parameters > 0) continue;
    row.trained_parameters = cell->trained_parameters;
    row.up_mbit = mean_of(cell->runs, [](const BenchmarkRun& run) { return run.up_mbit; });
  }
  row.mean = mean_of(row.means);
  row.rank = mean_of(ranks);
  return row;
}

std::string shown(double value, int decimals) {
  return std::isnan(value) ? kNone : fixed(value, decimals);
}

}  // namespace

const BenchmarkCell* BenchmarkResults::find(const std::string& backbone, const std::string& method,
                                            double fraction) const {
  for (const BenchmarkCell& cell : cells)
    if (cell.backbone == backbone && cell.method == method && cell.fraction == fraction)
      return &cell;
  return nullptr;
}

void write_benchmark(const BenchmarkResults& results, const std::filesystem::path& folder) {
  Json cells = Json::array();
  for (const BenchmarkCell& cell : results.cells) cells.push_back(to_json(cell));
  const Json root{{"version", 1},
                  {"name", results.name},
                  {"score", results.score},
                  {"synthetic", results.synthetic},
                  {"backbones", results.backbones},
                  {"methods", results.methods},
                  {"fractions", results.fractions},
                  {"cells", cells}};
  write_file(folder / kCsv, csv_text(results));
  write_file(folder / kJson, root.dump(1) + "\n");
}

bool holds_benchmark(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / kJson);
}

BenchmarkResults read_benchmark(const std::filesystem::path& folder) {
  const Document document = load_json(folder / kJson);
  ObjectReader reader(document);
  reader.version(1);
  BenchmarkResults results{reader.text("name"), reader.text("score"),
                           reader.boolean("synthetic", false), reader.texts("backbones"),
                           reader.texts("methods")};
  for (const Json& fraction : reader.raw("fractions")) {
    if (!fraction.is_number()) reader.fail("fractions", "a list of numbers was expected");
    results.fractions.push_back(fraction.get<double>());
  }
  for (const ObjectReader& cell : reader.objects("cells")) results.cells.push_back(read_cell(cell));
  reader.finish();
  return results;
}

std::vector<BenchmarkRow> benchmark_rows(const BenchmarkResults& results) {
  std::vector<BenchmarkRow> rows;
  for (const std::string& backbone : results.backbones)
    for (const std::string& method : results.methods) {
      const bool any =
          std::any_of(results.cells.begin(), results.cells.end(), [&](const BenchmarkCell& cell) {
            return cell.backbone == backbone && cell.method == method;
          });
      if (any) rows.push_back(row_of(results, backbone, method));
    }
  return rows;
}

std::string fraction_name(double fraction) {
  std::string percent = format_double(std::round(fraction * 1e8) / 1e6);
  return percent + " %";
}

std::vector<std::string> benchmark_header(const BenchmarkResults& results) {
  std::vector<std::string> header{"backbone", "method"};
  for (const double fraction : results.fractions) header.push_back("of " + fraction_name(fraction));
  header.insert(header.end(), {"mean", "rank", "trained parameters", "MBit up/round"});
  return header;
}

std::vector<std::vector<std::string>> benchmark_text(const BenchmarkResults& results) {
  std::vector<std::vector<std::string>> lines;
  for (const BenchmarkRow& row : benchmark_rows(results)) {
    std::vector<std::string> line{row.backbone, row.method};
    for (std::size_t f = 0; f < row.means.size(); ++f) {
      const double spread = row.deviations[f];
      line.push_back(shown(100 * row.means[f], 1) +
                     (std::isnan(spread) ? "" : " ± " + fixed(100 * spread, 1)));
    }
    line.insert(line.end(), {shown(100 * row.mean, 1), shown(row.rank, 1),
                             std::to_string(row.trained_parameters), shown(row.up_mbit, 2)});
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string benchmark_table(const BenchmarkResults& results) {
  TextTable table(benchmark_header(results));
  for (const auto& line : benchmark_text(results)) table.row(line);
  return table.str();
}

}  // namespace strata::fedrunner
