#include "strata/optimizers/comparison_files.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/csv.h"
#include "core/document.h"
#include "core/folder_lock.h"
#include "core/infinity.h"
#include "core/provenance.h"
#include "core/text.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata::optimizers {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr const char* kFile = "compare.json";
constexpr const char* kJournal = "compare.partial.jsonl";

std::string target_key(const char* what, std::size_t target) {
  return std::string(what) + "_to_" + format_double(kComparisonTargets[target]);
}

Json to_json(const ComparisonRun& run) {
  Json json{{"instance", run.instance},
            {"instance_seed", run.instance_seed},
            {"algorithm", run.algorithm},
            {"start", run.start},
            {"evaluations", run.evaluations},
            {"seed", run.seed},
            {"hypervolume_ratio", run.hypervolume_ratio},
            {"igd_plus", run.igd_plus},
            {"spread", run.spread},
            {"points", run.points},
            {"seconds", run.seconds}};
  for (std::size_t t = 0; t < run.reached.size(); ++t) {
    if (!std::isfinite(run.reached[t].evaluations)) continue;
    json[target_key("evaluations", t)] = static_cast<std::int64_t>(run.reached[t].evaluations);
    json[target_key("seconds", t)] = run.reached[t].seconds;
  }
  return json;
}

/// Six decimals: more than a figure shows, and a third of the bytes.
Json rounded(const std::vector<double>& values) {
  Json json = Json::array();
  for (const double value : values) json.push_back(std::round(value * 1e6) / 1e6);
  return json;
}

Json to_json(const ComparisonCurve& curve) {
  return {{"instance", curve.group.instance}, {"algorithm", curve.group.algorithm},
          {"start", curve.group.start},       {"budget", curve.group.evaluations},
          {"evaluations", curve.evaluations}, {"lower", rounded(curve.lower)},
          {"median", rounded(curve.median)},  {"upper", rounded(curve.upper)}};
}

/// A list with one element a line, for readers and version control.
template <typename T>
std::string lines(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "\n  " : ",\n  ") + to_json(value).dump();
  return "[" + text + "\n ]";
}

std::string number_or_empty(double value) {
  return std::isfinite(value) ? format_double(value) : "";
}

std::vector<std::string> run_columns() {
  std::vector<std::string> columns = {
      "instance",          "instance_seed", "algorithm", "start",  "evaluations", "seed",
      "hypervolume_ratio", "igd_plus",      "spread",    "points", "seconds"};
  for (std::size_t t = 0; t < kComparisonTargets.size(); ++t) {
    columns.push_back(target_key("evaluations", t));
    columns.push_back(target_key("seconds", t));
  }
  return columns;
}

std::string runs_csv(const std::vector<ComparisonRun>& runs) {
  std::string text = joined(run_columns(), ",") + "\n";
  for (const ComparisonRun& run : runs) {
    text += csv_field(run.instance) + "," + std::to_string(run.instance_seed) + "," +
            run.algorithm + "," + run.start + "," + std::to_string(run.evaluations) + "," +
            std::to_string(run.seed) + "," + format_double(run.hypervolume_ratio) + "," +
            format_double(run.igd_plus) + "," + format_double(run.spread) + "," +
            std::to_string(run.points) + "," + format_double(run.seconds);
    for (const auto& reached : run.reached)
      text += "," + number_or_empty(reached.evaluations) + "," + number_or_empty(reached.seconds);
    text += "\n";
  }
  return text;
}

std::string quartile_names(const std::string& name) {
  return "," + name + "_q1," + name + "_median," + name + "_q3";
}

std::string quartile_fields(const Quartiles& q) {
  return "," + number_or_empty(q.lower) + "," + number_or_empty(q.median) + "," +
         number_or_empty(q.upper);
}

std::string summary_csv(const std::vector<ComparisonSummary>& summaries) {
  std::string text = "instance,algorithm,start,evaluations,runs,best,p_holm";
  for (const char* name : {"hypervolume_ratio", "igd_plus", "spread", "points", "seconds"})
    text += quartile_names(name);
  for (std::size_t t = 0; t < kComparisonTargets.size(); ++t) {
    text += "," + target_key("runs", t) + quartile_names(target_key("evaluations", t)) +
            quartile_names(target_key("seconds", t));
  }
  text += "\n";
  for (const ComparisonSummary& summary : summaries) {
    text += csv_field(summary.group.instance) + "," + summary.group.algorithm + "," +
            summary.group.start + "," + std::to_string(summary.group.evaluations) + "," +
            std::to_string(summary.runs) + "," + (summary.best ? "yes" : "no") + "," +
            number_or_empty(summary.p);
    for (const Quartiles* q : {&summary.hypervolume_ratio, &summary.igd_plus, &summary.spread,
                               &summary.points, &summary.seconds})
      text += quartile_fields(*q);
    for (const auto& reached : summary.reached) {
      text += "," + std::to_string(reached.runs) + quartile_fields(reached.evaluations) +
              quartile_fields(reached.seconds);
    }
    text += "\n";
  }
  return text;
}

ComparisonRun read_run(ObjectReader reader) {
  ComparisonRun run;
  run.instance = reader.text("instance");
  run.instance_seed = reader.seed("instance_seed");
  run.algorithm = reader.text("algorithm");
  run.start = reader.text("start");
  run.evaluations = reader.integer("evaluations", 1, kMost);
  run.seed = reader.seed("seed");
  run.hypervolume_ratio = reader.number("hypervolume_ratio", 0, kInfinity);
  run.igd_plus = reader.number("igd_plus", 0, kInfinity);
  run.spread = reader.number("spread", 0, kInfinity);
  run.points = reader.integer("points", 1, kMost);
  run.seconds = reader.number("seconds", 0, kInfinity);
  for (std::size_t t = 0; t < run.reached.size(); ++t) {
    const std::string evaluations = target_key("evaluations", t);
    const std::string seconds = target_key("seconds", t);
    if (!reader.has(evaluations)) continue;
    run.reached[t].evaluations = static_cast<double>(reader.integer(evaluations, 1, kMost));
    run.reached[t].seconds = reader.number(seconds, 0, kInfinity);
  }
  reader.finish();
  return run;
}

std::vector<double> read_numbers(ObjectReader& reader, const std::string& key, std::size_t count) {
  const Json& list = reader.raw(key);
  std::vector<double> values;
  if (list.is_array()) {
    for (const Json& value : list)
      if (value.is_number()) values.push_back(value.get<double>());
  }
  if (!list.is_array() || list.size() != values.size() || (count > 0 && values.size() != count)) {
    reader.fail(key, "a list of " + (count > 0 ? std::to_string(count) + " " : std::string()) +
                         "numbers was expected");
  }
  return values;
}

/// The fields of one row of a file like compare.csv, checked one after the other.
class RowReader {
 public:
  RowReader(const fs::path& path, const CsvRow& row) : path_(path), row_(row) {}

  const std::string& text() { return row_.fields[next_++]; }
  std::int64_t integer(std::int64_t low) {
    std::int64_t value = 0;
    if (!parse_integer(text(), value) || value < low)
      fail("a whole number of at least " + std::to_string(low));
    return value;
  }
  double number() {
    double value = 0;
    if (!parse_double(text(), value) || !std::isfinite(value) || value < 0)
      fail("a number of at least 0");
    return value;
  }
  /// Empty: never reached.
  double number_or_never() {
    if (!row_.fields[next_].empty()) return number();
    ++next_;
    return kInfinity;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    throw InputError(path_.string() + ":" + std::to_string(row_.line) + ": " +
                     run_columns()[next_ - 1] + ": found \"" + row_.fields[next_ - 1] + "\", " +
                     expected + " was expected");
  }
  const fs::path& path_;
  const CsvRow& row_;
  std::size_t next_ = 0;
};

ComparisonCurve read_curve(ObjectReader reader) {
  ComparisonCurve curve;
  curve.group.instance = reader.text("instance");
  curve.group.algorithm = reader.text("algorithm");
  curve.group.start = reader.text("start");
  curve.group.evaluations = reader.integer("budget", 1, kMost);
  for (const double place : read_numbers(reader, "evaluations", 0)) {
    if (place < 1 || place > 9e15 || place != std::floor(place))
      reader.fail("evaluations", "whole numbers of at least 1 were expected");
    curve.evaluations.push_back(static_cast<std::int64_t>(place));
  }
  if (curve.evaluations.empty()) reader.fail("evaluations", "at least one number was expected");
  curve.lower = read_numbers(reader, "lower", curve.evaluations.size());
  curve.median = read_numbers(reader, "median", curve.evaluations.size());
  curve.upper = read_numbers(reader, "upper", curve.evaluations.size());
  reader.finish();
  return curve;
}

/// A line of a journal.
FinishedRun read_finished(const Document& document) {
  ObjectReader reader(document);
  FinishedRun finished;
  finished.curve = read_numbers(reader, "curve", 0);
  finished.run = read_run(reader.object("run", true));
  reader.finish();
  return finished;
}

/// The first key at which two settings differ.
std::string differing_key(const Json& a, const Json& b) {
  for (const auto& [key, value] : b.items()) {
    if (!a.contains(key) || a.at(key) != value) return key;
  }
  return "version";
}

/// Every scores' and budgets' bits.
std::string digest_of(const PlanningProblem& problem) {
  std::string text;
  for (const auto& names : {problem.clients, problem.units}) {
    for (const auto& name : names) text += name + "\n";
  }
  for (int i = 0; i < problem.client_count(); ++i) {
    if (problem.counts_units())
      text += std::to_string(problem.budgets[static_cast<std::size_t>(i)]);
    for (int l = 0; l < problem.unit_count(); ++l)
      text += " " + format_double(problem.importance(i, l));
    text += "\n";
  }
  return sha256_hex(text);
}

}  // namespace

std::string comparison_settings(const std::vector<Instance>& instances,
                                const ComparisonOptions& options) {
  Json list = Json::array();
  for (const Instance& instance : instances) {
    list.push_back({{"name", instance.name},
                    {"seed", instance.seed},
                    {"digest", digest_of(instance.problem)}});
  }
  return Json{{"instances", list},        {"algorithms", options.algorithms},
              {"starts", options.starts}, {"evaluations", options.evaluations},
              {"seeds", options.seeds},   {"population", options.population}}
      .dump();
}

bool holds_unfinished_comparison(const fs::path& folder) {
  return fs::exists(folder / kJournal);
}

void check_comparison_folder(const fs::path& folder, bool resume) {
  if (!fs::exists(folder)) return;
  if (!fs::is_directory(folder))
    throw InputError(folder.string() + ": is a file; a comparison needs a folder");
  const bool unfinished = holds_unfinished_comparison(folder);
  if (unfinished || fs::exists(folder / kFile)) {
    if (resume) return;
    throw InputError(folder.string() +
                     (unfinished
                          ? ": the folder holds a comparison that is not over; --resume goes on "
                            "with it, or choose another --out"
                          : ": the folder already holds a comparison; choose another --out"));
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    // What a kill at the very beginning leaves.
    if (name.find(".tmp-") != std::string::npos || name == kLockFile) continue;
    throw InputError(folder.string() +
                     ": the folder is not empty and holds no comparison (it has \"" + name +
                     "\"); choose another --out");
  }
}

ComparisonJournal::ComparisonJournal(const fs::path& folder, const std::string& settings)
    : file_(folder / kJournal) {
  const Json now = parse_json(settings, "the comparison's settings").root;
  if (!fs::exists(file_)) {
    provenance_ = strata::provenance();
    Json made = Json::object();
    for (const auto& [key, value] : provenance_) made[key] = value;
    write_file(file_, Json{{"version", 1}, {"provenance", made}, {"settings", now}}.dump() + "\n");
    return;
  }
  const std::string text = read_file(file_);
  std::size_t begin = 0;
  std::size_t line = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const Document document =
        parse_json(text.substr(begin, end - begin), file_.string() + ":" + std::to_string(++line));
    if (line > 1) {
      finished_.push_back(read_finished(document));
      continue;
    }
    ObjectReader reader(document);
    reader.version(1);
    ObjectReader made = reader.object("provenance", true);
    for (const std::string& key : made.keys()) provenance_.emplace_back(key, made.text(key));
    const Json& found = reader.raw("settings");
    if (found != now) {
      throw InputError(file_.string() + ": the comparison was begun with other " +
                       differing_key(found, now) + "; choose another --out");
    }
    reader.finish();
  }
  if (line == 0) throw InputError(file_.string() + ": the first line is missing");
  // Half a line was never finished.
  if (begin < text.size()) write_file(file_, text.substr(0, begin));
}

void ComparisonJournal::add(const FinishedRun& run) {
  errno = 0;
  std::ofstream out(file_, std::ios::app | std::ios::binary);
  out << Json{{"run", to_json(run.run)}, {"curve", run.curve}}.dump() + "\n" << std::flush;
  if (!out) {
    throw WorkError(file_.string() +
                    ": cannot be written: " + (errno ? std::strerror(errno) : "unknown error"));
  }
  finished_.push_back(run);
}

void ComparisonJournal::remove() {
  std::error_code error;
  if (!fs::remove(file_, error) && error)
    throw WorkError(file_.string() + ": cannot be removed: " + error.message());
}

void write_comparison(const Comparison& comparison, const fs::path& folder) {
  Json provenance = Json::object();
  for (const auto& [key, value] : comparison.provenance) provenance[key] = value;
  write_file(folder / kFile, "{\"version\": 1,\n \"provenance\": " + provenance.dump() +
                                 ",\n \"population\": " + std::to_string(comparison.population) +
                                 ",\n \"runs\": " + lines(comparison.runs) +
                                 ",\n \"curves\": " + lines(comparison.curves) + "}\n");
  write_file(folder / "compare.csv", runs_csv(comparison.runs));
  write_file(folder / "summary.csv", summary_csv(summarise(comparison.runs)));
}

Comparison read_comparison(const fs::path& folder) {
  const Document document = load_json(folder / kFile);
  ObjectReader reader(document);
  reader.version(1);
  Comparison comparison;
  ObjectReader provenance = reader.object("provenance", true);
  for (const std::string& key : provenance.keys())
    comparison.provenance.emplace_back(key, provenance.text(key));
  comparison.population =
      static_cast<int>(reader.integer("population", 1, std::numeric_limits<int>::max()));
  for (ObjectReader& run : reader.objects("runs")) comparison.runs.push_back(read_run(run));
  if (comparison.runs.empty()) reader.fail("runs", "no run; at least one is needed");
  for (ObjectReader& curve : reader.objects("curves"))
    comparison.curves.push_back(read_curve(curve));
  reader.finish();
  return comparison;
}

std::vector<ComparisonRun> read_runs_csv(const fs::path& path) {
  const std::vector<CsvRow> rows = read_csv(path);
  if (rows[0].fields != run_columns()) {
    throw InputError(path.string() + ":" + std::to_string(rows[0].line) + ": the header must be " +
                     joined(run_columns(), ","));
  }
  std::vector<ComparisonRun> runs;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    RowReader row(path, rows[r]);
    ComparisonRun run;
    run.instance = row.text();
    run.instance_seed = static_cast<std::uint64_t>(row.integer(0));
    run.algorithm = row.text();
    run.start = row.text();
    run.evaluations = row.integer(1);
    run.seed = static_cast<std::uint64_t>(row.integer(0));
    run.hypervolume_ratio = row.number();
    run.igd_plus = row.number();
    run.spread = row.number();
    run.points = row.integer(1);
    run.seconds = row.number();
    for (auto& reached : run.reached) {
      reached.evaluations = row.number_or_never();
      reached.seconds = row.number_or_never();
    }
    runs.push_back(std::move(run));
  }
  return runs;
}

}  // namespace strata::optimizers
