#include "strata/ntk/metric_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "core/console.h"
#include "core/csv.h"
#include "core/ranks.h"
#include "core/table_file.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::ntk {
namespace {

const std::vector<std::string> kHeader = {"metric", "client",   "unit",
                                          "value",  "residual", "status"};

std::string cell_name(const std::string& metric, const std::string& client,
                      const std::string& unit) {
  return "metric \"" + metric + "\", client \"" + client + "\", unit \"" + unit + "\"";
}

/// What is wrong with a value; "" when nothing is.
std::string fault(const MetricValue& value) {
  if (!std::isfinite(value.value)) {
    return "the value is " + format_double(value.value) + "; it must be finite";
  }
  if (!std::isfinite(value.residual) || value.residual < 0) {
    return "the residual is " + format_double(value.residual) +
           "; it must be finite and at least 0";
  }
  return value.status.empty() ? "the status is empty; \"ok\" is what a good value has" : "";
}

/// Names in the order of their first appearance, with the line of that.
class NameList {
 public:
  int index_of(const std::string& name, int line) {
    const auto [found, is_new] = indices_.emplace(name, static_cast<int>(names_.size()));
    if (is_new) {
      names_.push_back(name);
      lines_.push_back(line);
    }
    return found->second;
  }
  const std::vector<std::string>& names() const { return names_; }
  int line(int index) const { return lines_[index]; }

 private:
  std::map<std::string, int> indices_;
  std::vector<std::string> names_;
  std::vector<int> lines_;
};

/// Twice the rank's distance from the mean rank: whole numbers, so that sums of their products are
/// exact and monotone relations give exactly ±1.
std::vector<double> centred_ranks(const std::vector<double>& values) {
  const std::vector<int> doubled = doubled_ranks(values);
  const double twice_mean = static_cast<double>(values.size()) + 1;
  std::vector<double> ranks;
  for (const int rank : doubled) ranks.push_back(rank - twice_mean);
  return ranks;
}

double dot(const std::vector<double>& x, const std::vector<double>& y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const double scale = std::sqrt(dot(x, x) * dot(y, y));
  return scale > 0 ? std::clamp(dot(x, y) / scale, -1.0, 1.0) : 0.0;
}

bool is_constant(const std::vector<double>& centred) {
  return std::all_of(centred.begin(), centred.end(), [](double rank) { return rank == 0; });
}

}  // namespace

void MetricTable::allocate() {
  values.assign(metrics.size() * clients.size() * units.size(), {});
}

MetricValue& MetricTable::at(int metric, int client, int unit) {
  return values[(static_cast<std::size_t>(metric) * clients.size() + client) * units.size() + unit];
}

const MetricValue& MetricTable::at(int metric, int client, int unit) const {
  return values[(static_cast<std::size_t>(metric) * clients.size() + client) * units.size() + unit];
}

void MetricTable::validate(const std::string& source) const {
  check_table_names(metrics, "metric", source);
  check_table_names(clients, "client", source);
  check_table_names(units, "unit", source);
  const std::size_t expected = metrics.size() * clients.size() * units.size();
  if (values.size() != expected) {
    throw InputError(source + ": " + std::to_string(values.size()) + " values, but there are " +
                     std::to_string(expected) + " combinations of metric, client and unit");
  }
  for (int metric = 0; metric < metric_count(); ++metric) {
    for (int client = 0; client < client_count(); ++client) {
      for (int unit = 0; unit < unit_count(); ++unit) {
        const std::string wrong = fault(at(metric, client, unit));
        if (!wrong.empty()) {
          throw InputError(source + ": " +
                           cell_name(metrics[metric], clients[client], units[unit]) + ": " + wrong);
        }
      }
    }
  }
}

MetricTable read_metric_table(const std::filesystem::path& path) {
  const std::vector<CsvRow> rows = read_csv(path);
  const auto at = [&](int line) { return path.string() + ":" + std::to_string(line) + ": "; };
  if (rows[0].fields != kHeader) {
    throw InputError(at(rows[0].line) +
                     "the header must be metric,client,unit,value,residual,status; it begins "
                     "with \"" +
                     rows[0].fields[0] + "\" and has " + std::to_string(rows[0].fields.size()) +
                     " fields");
  }
  if (rows.size() == 1) throw InputError(path.string() + ": a header but no value");

  struct Cell {
    int metric, client, unit, line;
    MetricValue value;
  };
  NameList metrics, clients, units;
  std::vector<Cell> cells;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const auto& fields = rows[r].fields;
    const int line = rows[r].line;
    for (int column = 0; column < 3; ++column) {
      if (fields[column].empty())
        throw InputError(at(line) + "a " + kHeader[column] + " has no name");
    }
    const std::string name = cell_name(fields[0], fields[1], fields[2]) + ": ";
    MetricValue value;
    value.status = fields[5];
    for (int column = 3; column < 5; ++column) {
      double& number = column == 3 ? value.value : value.residual;
      if (!parse_double(fields[column], number)) {
        throw InputError(at(line) + name + "the " + kHeader[column] +
                         " must be a number, found \"" + fields[column] + "\"");
      }
    }
    const std::string wrong = fault(value);
    if (!wrong.empty()) throw InputError(at(line) + name + wrong);
    cells.push_back({metrics.index_of(fields[0], line), clients.index_of(fields[1], line),
                     units.index_of(fields[2], line), line, value});
  }

  MetricTable table{metrics.names(), clients.names(), units.names(), {}};
  // Before anything of that size is allocated: few rows can name very many combinations.
  std::map<std::tuple<int, int, int>, int> lines;
  for (const Cell& cell : cells) {
    const auto [first, is_new] =
        lines.emplace(std::tuple(cell.metric, cell.client, cell.unit), cell.line);
    if (!is_new) {
      throw InputError(at(cell.line) +
                       cell_name(table.metrics[cell.metric], table.clients[cell.client],
                                 table.units[cell.unit]) +
                       " stands twice, first on line " + std::to_string(first->second));
    }
  }
  auto found = lines.begin();
  for (int metric = 0; metric < table.metric_count(); ++metric) {
    for (int client = 0; client < table.client_count(); ++client) {
      for (int unit = 0; unit < table.unit_count(); ++unit) {
        if (found == lines.end() || found->first != std::tuple(metric, client, unit)) {
          // The line that introduces the last of the three names.
          const int line = std::max({metrics.line(metric), clients.line(client), units.line(unit)});
          throw InputError(
              at(line) +
              cell_name(table.metrics[metric], table.clients[client], table.units[unit]) +
              ": there is no row for it, and every combination of the names needs one");
        }
        ++found;
      }
    }
  }
  table.allocate();
  for (const Cell& cell : cells) table.at(cell.metric, cell.client, cell.unit) = cell.value;
  return table;
}

void write_metric_table(const MetricTable& table, const std::filesystem::path& path) {
  table.validate(path.string());
  std::string out;
  for (const std::string& column : kHeader) out += (out.empty() ? "" : ",") + column;
  out += '\n';
  for (int metric = 0; metric < table.metric_count(); ++metric) {
    for (int client = 0; client < table.client_count(); ++client) {
      for (int unit = 0; unit < table.unit_count(); ++unit) {
        const MetricValue& value = table.at(metric, client, unit);
        out += csv_field(table.metrics[metric]) + ',' + csv_field(table.clients[client]) + ',' +
               csv_field(table.units[unit]) + ',' + format_double(value.value) + ',' +
               format_double(value.residual) + ',' + csv_field(value.status) + '\n';
      }
    }
  }
  write_file(path, out);
}

double spearman(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.empty() || x.size() != y.size()) {
    throw InputError("spearman: found " + std::to_string(x.size()) + " and " +
                     std::to_string(y.size()) +
                     " values; as many of both, and at least one, are needed");
  }
  for (const auto* values : {&x, &y}) {
    for (const double value : *values) {
      if (!std::isfinite(value)) {
        throw InputError("spearman: a value is " + format_double(value) + "; it must be finite");
      }
    }
  }
  return correlation(centred_ranks(x), centred_ranks(y));
}

std::vector<RankAgreement> rank_agreement(const MetricTable& table) {
  table.validate("metric table");
  // ranks[metric][client]
  std::vector<std::vector<std::vector<double>>> ranks(table.metrics.size());
  for (int metric = 0; metric < table.metric_count(); ++metric) {
    for (int client = 0; client < table.client_count(); ++client) {
      std::vector<double> row;
      for (int unit = 0; unit < table.unit_count(); ++unit) {
        row.push_back(table.at(metric, client, unit).value);
      }
      ranks[metric].push_back(centred_ranks(row));
    }
  }
  std::vector<RankAgreement> agreements;
  for (int first = 0; first < table.metric_count(); ++first) {
    for (int second = first + 1; second < table.metric_count(); ++second) {
      RankAgreement agreement{table.metrics[first], table.metrics[second], 0, 1, -1, 0};
      for (int client = 0; client < table.client_count(); ++client) {
        const auto& x = ranks[first][client];
        const auto& y = ranks[second][client];
        const double value = correlation(x, y);
        agreement.mean += value / table.client_count();
        agreement.least = std::min(agreement.least, value);
        agreement.greatest = std::max(agreement.greatest, value);
        agreement.constant += is_constant(x) || is_constant(y);
      }
      agreements.push_back(agreement);
    }
  }
  return agreements;
}

std::string rank_agreement_text(const std::vector<RankAgreement>& agreements) {
  TextTable text({"metrics", "mean", "least", "greatest", "constant"});
  for (const RankAgreement& agreement : agreements) {
    text.row({agreement.first + ", " + agreement.second, fixed(agreement.mean, 2),
              fixed(agreement.least, 2), fixed(agreement.greatest, 2),
              std::to_string(agreement.constant)});
  }
  return text.str();
}

}  // namespace strata::ntk
