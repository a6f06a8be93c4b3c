#include "strata/core/score_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/csv.h"
#include "core/document.h"
#include "core/table_file.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata {
namespace {

bool is_table(const std::filesystem::path& path) {
  const std::string extension = text_extension(path);
  return extension == ".csv" || extension == ".tsv";
}

std::vector<Role> roles_of(ObjectReader& reader, const ScoreTable& table) {
  const auto names = reader.texts("roles", std::vector<std::string>{});
  if (!reader.has("roles")) return {};
  if (names.size() != table.units.size())
    reader.fail("roles", "a list of " + std::to_string(table.units.size()) +
                             " texts (one per unit) was expected, found " +
                             std::to_string(names.size()));
  std::vector<Role> roles;
  for (const std::string& name : names) {
    const auto role = parse_role(name);
    if (!role) {
      reader.fail("roles", "\"" + name + "\" is not one of " + quoted_list(role_names()) +
                               did_you_mean(name, role_names()));
    }
    roles.push_back(*role);
  }
  return roles;
}

Eigen::MatrixXd matrix_of(ObjectReader& reader, const std::string& key, const ScoreTable& table) {
  const Json& rows = reader.raw(key);
  if (!rows.is_array() || rows.size() != table.clients.size())
    reader.fail(key, "a list of " + std::to_string(table.clients.size()) +
                         " rows (one per client) was expected, found " +
                         (rows.is_array() ? std::to_string(rows.size()) + " rows" : "none"));
  Eigen::MatrixXd out(table.client_count(), table.unit_count());
  for (int i = 0; i < table.client_count(); ++i) {
    const Json& row = rows[i];
    const std::string at =
        key + "[" + std::to_string(i) + "] (client \"" + table.clients[i] + "\")";
    if (!row.is_array() || row.size() != table.units.size())
      reader.fail(at, "a list of " + std::to_string(table.units.size()) +
                          " numbers (one per unit) was expected" +
                          (row.is_array() ? ", found " + std::to_string(row.size()) : ""));
    for (int l = 0; l < table.unit_count(); ++l) {
      if (!row[l].is_number())
        reader.fail(at, "a number was expected for unit \"" + table.units[l] + "\", found " +
                            excerpt(row[l]));
      out(i, l) = row[l].get<double>();
    }
  }
  return out;
}

ScoreTable parse_json_scores(const std::string& text, const std::string& file) {
  const Document document = parse_json(text, file);
  ObjectReader reader(document);
  ScoreTable table;
  reader.version(1);
  table.metric = reader.text("metric", "");
  table.model_fingerprint = reader.text("model_fingerprint", "");
  table.samples = reader.integer("samples", 0, std::numeric_limits<std::int64_t>::max(), 0);
  table.clients = reader.texts("clients");
  table.units = reader.texts("units");
  check_table_names(table.clients, "client", document.file + ": clients");
  check_table_names(table.units, "unit", document.file + ": units");
  table.roles = roles_of(reader, table);
  table.scores = matrix_of(reader, "scores", table);
  if (reader.has("raw")) table.raw = matrix_of(reader, "raw", table);
  reader.finish();
  table.validate(document.file);
  return table;
}

double score_of(const std::string& text, const std::string& where) {
  double value = 0;
  if (!parse_double(text, value)) {
    const bool comma = std::count(text.begin(), text.end(), ',') == 1;
    throw InputError(where + ": a number was expected, found \"" + text + "\"" +
                     (comma ? " (numbers have a point, not a comma)" : ""));
  }
  if (!std::isfinite(value) || value < 0)
    throw InputError(where + ": a score is " + text + "; scores must be finite and at least 0");
  return value;
}

std::string cell_name(const std::string& client, const std::string& unit) {
  return "client \"" + client + "\", unit \"" + unit + "\"";
}

/// Rows of clients, columns of units from `first` on; the client's name is the column before.
ScoreTable wide_table(const std::vector<CsvRow>& rows, std::size_t first, const std::string& file) {
  const auto at = [&](const CsvRow& row) { return file + ":" + std::to_string(row.line); };
  const auto& header = rows[0].fields;
  ScoreTable table;
  table.units.assign(header.begin() + static_cast<std::ptrdiff_t>(first), header.end());
  if (rows.size() < 2) throw InputError(file + ": a header but no client");
  check_table_names(table.units, "unit", at(rows[0]));
  table.scores.resize(static_cast<Eigen::Index>(rows.size() - 1), table.unit_count());
  std::set<std::string> seen;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const auto& fields = rows[r].fields;
    const std::string& client = fields[first - 1];
    if (client.empty()) throw InputError(at(rows[r]) + ": a client has no name");
    if (!seen.insert(client).second)
      throw InputError(at(rows[r]) + ": the client \"" + client + "\" stands twice");
    table.clients.push_back(client);
    for (std::size_t c = first; c < fields.size(); ++c)
      table.scores(static_cast<Eigen::Index>(r - 1), static_cast<Eigen::Index>(c - first)) =
          score_of(fields[c], at(rows[r]) + ": " + cell_name(client, header[c]));
  }
  return table;
}

/// Where the columns of a long table stand; `metric` is −1 without one.
struct LongColumns {
  std::ptrdiff_t client, unit, value, metric;
};

std::optional<LongColumns> long_columns(const std::vector<std::string>& header) {
  const auto column = [&](const std::string& name) {
    const auto found = std::find_if(header.begin(), header.end(), [&](const std::string& field) {
      return is_header(field, name);
    });
    return found == header.end() ? std::ptrdiff_t{-1} : found - header.begin();
  };
  LongColumns columns{column("client"), column("unit"), column("value"), column("metric")};
  if (columns.value < 0) columns.value = column("score");
  if (columns.client < 0 || columns.unit < 0 || columns.value < 0) return std::nullopt;
  return columns;
}

/// The metric to read of a long table.
std::string metric_of(const std::vector<CsvRow>& rows, std::ptrdiff_t column,
                      const std::string& asked, const std::string& file) {
  std::vector<std::string> metrics;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const std::string& name = rows[r].fields[static_cast<std::size_t>(column)];
    if (std::find(metrics.begin(), metrics.end(), name) == metrics.end()) metrics.push_back(name);
  }
  if (!asked.empty()) {
    if (std::find(metrics.begin(), metrics.end(), asked) == metrics.end())
      throw InputError(file + ": there is no metric \"" + asked + "\"" +
                       did_you_mean(asked, metrics) + "; there are " + quoted_list(metrics));
    return asked;
  }
  if (metrics.size() > 1)
    throw InputError(file + ": it holds " + std::to_string(metrics.size()) + " metrics, " +
                     quoted_list(metrics) + "; choose one: --metric " + metrics.front());
  return metrics.empty() ? "" : metrics.front();
}

ScoreTable long_table(const std::vector<CsvRow>& rows, const LongColumns& columns,
                      const std::string& asked, const std::string& file) {
  const auto at = [&](const CsvRow& row) { return file + ":" + std::to_string(row.line); };
  if (rows.size() < 2) throw InputError(file + ": a header but no value");
  ScoreTable table;
  if (columns.metric >= 0) table.metric = metric_of(rows, columns.metric, asked, file);
  const auto field = [](const CsvRow& row, std::ptrdiff_t column) -> const std::string& {
    return row.fields[static_cast<std::size_t>(column)];
  };
  std::map<std::string, int> clients, units;
  const auto place = [](std::map<std::string, int>& places, std::vector<std::string>& names,
                        const std::string& name) {
    const auto [found, is_new] = places.emplace(name, static_cast<int>(names.size()));
    if (is_new) names.push_back(name);
    return found->second;
  };
  std::map<std::pair<int, int>, double> values;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const CsvRow& row = rows[r];
    if (columns.metric >= 0 && field(row, columns.metric) != table.metric) continue;
    const std::string &client = field(row, columns.client), &unit = field(row, columns.unit);
    if (client.empty() || unit.empty())
      throw InputError(at(row) + ": a " + (client.empty() ? "client" : "unit") + " has no name");
    const std::string where = at(row) + ": " + cell_name(client, unit);
    const std::pair cell(place(clients, table.clients, client), place(units, table.units, unit));
    if (!values.emplace(cell, score_of(field(row, columns.value), where)).second)
      throw InputError(where + ": stands twice");
  }
  table.scores.resize(table.client_count(), table.unit_count());
  for (int i = 0; i < table.client_count(); ++i) {
    for (int l = 0; l < table.unit_count(); ++l) {
      const auto found = values.find({i, l});
      if (found == values.end())
        throw InputError(file + ": no value for " + cell_name(table.clients[i], table.units[l]));
      table.scores(i, l) = found->second;
    }
  }
  return table;
}

ScoreTable parse_table_scores(const std::string& text, const std::string& file,
                              const std::string& metric) {
  const auto rows = parse_table(text, file);
  const auto& header = rows[0].fields;
  ScoreTable table;
  if (const auto columns = long_columns(header)) {
    table = long_table(rows, *columns, metric, file);
  } else {
    // pandas writes a numbered index before the columns unless told not to.
    const bool numbered = header.size() > 2 && header[0].empty() && is_header(header[1], "client");
    if (header.size() < 2 || !is_index_header(header[0], "client"))
      throw InputError(file + ":" + std::to_string(rows[0].line) +
                       ": the header must be client,<unit>,<unit>,…, or have the columns client, "
                       "unit and value; it " +
                       (header.size() < 2 ? "is \"" : "begins with \"") + header[0] + "\"");
    table = wide_table(rows, numbered ? 2 : 1, file);
  }
  table.validate(file);
  return table;
}

void check_same(const std::filesystem::path& first, const std::filesystem::path& path,
                const std::string& key, const std::string& expected, const std::string& found) {
  if (found == expected) return;
  throw InputError(path.string() + ": " + key + " is \"" + found + "\", but " + first.string() +
                   " has \"" + expected + "\"; clients are compared on the same terms only");
}

/// The clients' files of a folder under each other.
ScoreTable read_score_folder(const std::filesystem::path& folder, const std::string& metric) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (text_extension(entry.path()) == ".json" || is_table(entry.path()))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    throw InputError(folder.string() +
                     ": the folder holds no scores (no .json, .csv or .tsv file)");
  }
  ScoreTable joined = read_scores(files.front(), metric);
  const std::filesystem::path& first = files.front();
  for (std::size_t i = 1; i < files.size(); ++i) {
    const ScoreTable part = read_scores(files[i], metric);
    check_same(first, files[i], "metric", joined.metric, part.metric);
    check_same(first, files[i], "model_fingerprint", joined.model_fingerprint,
               part.model_fingerprint);
    if (part.units != joined.units) {
      throw InputError(files[i].string() + ": its units are " + quoted_list(part.units) + ", but " +
                       first.string() + " has " + quoted_list(joined.units));
    }
    if (part.roles != joined.roles) {
      throw InputError(files[i].string() + ": its units have other roles than those of " +
                       first.string() + ", or only one of the two says them");
    }
    if (part.samples != joined.samples) joined.samples = 0;
    const Eigen::Index rows = joined.scores.rows();
    const bool raw = joined.raw.size() > 0 && part.raw.size() > 0;
    joined.clients.insert(joined.clients.end(), part.clients.begin(), part.clients.end());
    joined.scores.conservativeResize(rows + part.scores.rows(), Eigen::NoChange);
    joined.scores.bottomRows(part.scores.rows()) = part.scores;
    if (raw) {
      joined.raw.conservativeResize(rows + part.raw.rows(), Eigen::NoChange);
      joined.raw.bottomRows(part.raw.rows()) = part.raw;
    } else {
      joined.raw.resize(0, 0);
    }
  }
  joined.validate(folder.string());
  return joined;
}

Json rows_of(const Eigen::MatrixXd& matrix) {
  Json rows = Json::array();
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    Json row = Json::array();
    for (Eigen::Index l = 0; l < matrix.cols(); ++l) row.push_back(matrix(i, l));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

void ScoreTable::validate(const std::string& source) const {
  check_table_names(clients, "client", source);
  check_table_names(units, "unit", source);
  const auto check = [&](const Eigen::MatrixXd& matrix, const char* what) {
    if (matrix.rows() != client_count() || matrix.cols() != unit_count())
      throw InputError(source + ": " + what + " is " + std::to_string(matrix.rows()) + " × " +
                       std::to_string(matrix.cols()) + ", but there are " +
                       std::to_string(client_count()) + " clients and " +
                       std::to_string(unit_count()) + " units");
    for (int i = 0; i < client_count(); ++i) {
      for (int l = 0; l < unit_count(); ++l)
        if (!std::isfinite(matrix(i, l)) || matrix(i, l) < 0)
          throw InputError(source + ": client \"" + clients[i] + "\", unit \"" + units[l] +
                           "\": a score is " + format_double(matrix(i, l)) +
                           "; scores must be finite and at least 0");
      // A row is divided by its sum.
      if (!std::isfinite(matrix.row(i).sum()))
        throw InputError(source + ": client \"" + clients[i] + "\": the sum of " + what +
                         " is beyond the greatest number there is, 1.8e308");
    }
  };
  if (!roles.empty() && roles.size() != units.size())
    throw InputError(source + ": there are " + std::to_string(units.size()) + " units, but " +
                     std::to_string(roles.size()) + " roles");
  check(scores, "scores");
  if (raw.size() > 0) check(raw, "raw");
}

void normalise_rows(Eigen::MatrixXd& scores) {
  for (Eigen::Index i = 0; i < scores.rows(); ++i) {
    const double sum = scores.row(i).sum();
    if (sum > 0)
      scores.row(i) /= sum;
    else
      scores.row(i).setConstant(1.0 / static_cast<double>(scores.cols()));
  }
}

ScoreTable read_scores(const std::filesystem::path& path, const std::string& metric) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) return read_score_folder(path, metric);
  const std::string text = read_text(path), file = text_name(path);
  const bool json = text_extension(path) == ".json" || (!is_table(path) && looks_like_json(text));
  ScoreTable table = json ? parse_json_scores(text, file) : parse_table_scores(text, file, metric);
  if (!metric.empty() && table.metric != metric)
    throw InputError(file + ": " +
                     (table.metric.empty()
                          ? "does not say which metric it holds; --metric is for files that do"
                          : "the metric is \"" + table.metric + "\", not \"" + metric + "\""));
  return table;
}

void write_scores(const ScoreTable& table, const std::filesystem::path& path) {
  table.validate(path.string());
  std::string out;
  if (text_extension(path) == ".csv") {
    out = "client";
    for (const auto& unit : table.units) out += "," + csv_field(unit);
    out += '\n';
    for (int i = 0; i < table.client_count(); ++i) {
      out += csv_field(table.clients[i]);
      for (int l = 0; l < table.unit_count(); ++l) out += "," + format_double(table.scores(i, l));
      out += '\n';
    }
  } else {
    Json root{{"version", 1},
              {"metric", table.metric},
              {"model_fingerprint", table.model_fingerprint},
              {"samples", table.samples},
              {"clients", table.clients},
              {"units", table.units}};
    if (!table.roles.empty()) {
      std::vector<std::string> names;
      for (const Role role : table.roles) names.push_back(role_name(role));
      root["roles"] = names;
    }
    root["scores"] = rows_of(table.scores);
    if (table.raw.size() > 0) root["raw"] = rows_of(table.raw);
    out = root.dump(1) + '\n';
  }
  write_file(path, out);
}

std::string digest(const ScoreTable& table) {
  Sha256 hash;
  const auto add = [&](const std::string& text) {
    const std::uint64_t size = text.size();
    hash.update({reinterpret_cast<const char*>(&size), sizeof size});
    hash.update(text);
  };
  for (const auto& client : table.clients) add(client);
  hash.update("|");
  for (const auto& unit : table.units) add(unit);
  for (int i = 0; i < table.client_count(); ++i)
    for (int l = 0; l < table.unit_count(); ++l) {
      const double value = table.scores(i, l);
      hash.update({reinterpret_cast<const char*>(&value), sizeof value});
    }
  return hash.hex();
}

}  // namespace strata
