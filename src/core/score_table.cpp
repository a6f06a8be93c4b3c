#include "strata/core/score_table.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <set>

#include "core/csv.h"
#include "core/document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata {
namespace {

void check_names(const std::vector<std::string>& names, const char* what,
                 const std::string& source) {
  std::set<std::string> seen;
  if (names.empty()) throw InputError(source + ": no " + what + "s");
  for (const auto& name : names) {
    if (name.empty()) throw InputError(source + ": a " + what + " has no name");
    if (!seen.insert(name).second)
      throw InputError(source + ": the " + what + " \"" + name + "\" stands twice");
  }
}

bool is_csv(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".csv";
}

/// Whoever called a CSV file scores.txt would otherwise learn only that it is no JSON.
Document load_json_scores(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  const auto first = text.find_first_not_of(" \t\r\n");
  if (path.extension() != ".json" && first != std::string::npos && text[first] != '{') {
    throw InputError(path.string() +
                     ": is not JSON; scores are read as CSV from files whose names end in .csv");
  }
  return parse_json(text, path.string());
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

ScoreTable read_json_scores(const std::filesystem::path& path) {
  const Document document = load_json_scores(path);
  ObjectReader reader(document);
  ScoreTable table;
  reader.version(1);
  table.metric = reader.text("metric", "");
  table.model_fingerprint = reader.text("model_fingerprint", "");
  table.samples = reader.integer("samples", 0, std::numeric_limits<std::int64_t>::max(), 0);
  table.clients = reader.texts("clients");
  table.units = reader.texts("units");
  check_names(table.clients, "client", document.file + ": clients");
  check_names(table.units, "unit", document.file + ": units");
  table.scores = matrix_of(reader, "scores", table);
  if (reader.has("raw")) table.raw = matrix_of(reader, "raw", table);
  reader.finish();
  table.validate(document.file);
  return table;
}

ScoreTable read_csv_scores(const std::filesystem::path& path) {
  const auto rows = read_csv(path);
  const auto at = [&](int line) { return path.string() + ":" + std::to_string(line); };
  const auto& header = rows[0].fields;
  if (header.size() < 2 || header[0] != "client")
    throw InputError(at(rows[0].line) + ": the header must be client,<unit>,<unit>,…; it " +
                     (header.size() < 2 ? "is \"" : "begins with \"") + header[0] + "\"");
  ScoreTable table;
  table.units.assign(header.begin() + 1, header.end());
  if (rows.size() < 2) throw InputError(path.string() + ": a header but no client");
  check_names(table.units, "unit", at(rows[0].line));
  table.scores.resize(static_cast<Eigen::Index>(rows.size() - 1), table.unit_count());
  std::set<std::string> seen;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const auto& fields = rows[r].fields;
    if (fields[0].empty()) throw InputError(at(rows[r].line) + ": a client has no name");
    if (!seen.insert(fields[0]).second)
      throw InputError(at(rows[r].line) + ": the client \"" + fields[0] + "\" stands twice");
    table.clients.push_back(fields[0]);
    for (std::size_t c = 1; c < fields.size(); ++c) {
      double value = 0;
      if (!parse_double(fields[c], value))
        throw InputError(at(rows[r].line) + ": client \"" + fields[0] + "\", unit \"" + header[c] +
                         "\": a number was expected, found \"" + fields[c] + "\"");
      if (!std::isfinite(value) || value < 0)
        throw InputError(at(rows[r].line) + ": client \"" + fields[0] + "\", unit \"" + header[c] +
                         "\": a score is " + fields[c] + "; scores must be finite and at least 0");
      table.scores(static_cast<Eigen::Index>(r - 1), static_cast<Eigen::Index>(c - 1)) = value;
    }
  }
  table.validate(path.string());
  return table;
}

void check_same(const std::filesystem::path& first, const std::filesystem::path& path,
                const std::string& key, const std::string& expected, const std::string& found) {
  if (found == expected) return;
  throw InputError(path.string() + ": " + key + " is \"" + found + "\", but " + first.string() +
                   " has \"" + expected + "\"; clients are compared on the same terms only");
}

/// The clients' files of a folder under each other.
ScoreTable read_score_folder(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json" || is_csv(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    throw InputError(folder.string() + ": the folder holds no scores (no .json or .csv file)");
  }
  ScoreTable joined = read_scores(files.front());
  const std::filesystem::path& first = files.front();
  for (std::size_t i = 1; i < files.size(); ++i) {
    const ScoreTable part = read_scores(files[i]);
    check_same(first, files[i], "metric", joined.metric, part.metric);
    check_same(first, files[i], "model_fingerprint", joined.model_fingerprint,
               part.model_fingerprint);
    if (part.units != joined.units) {
      throw InputError(files[i].string() + ": its units are " + quoted_list(part.units) + ", but " +
                       first.string() + " has " + quoted_list(joined.units));
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
  check_names(clients, "client", source);
  check_names(units, "unit", source);
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

ScoreTable read_scores(const std::filesystem::path& path) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) return read_score_folder(path);
  return is_csv(path) ? read_csv_scores(path) : read_json_scores(path);
}

void write_scores(const ScoreTable& table, const std::filesystem::path& path) {
  table.validate(path.string());
  std::string out;
  if (is_csv(path)) {
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
              {"units", table.units},
              {"scores", rows_of(table.scores)}};
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
