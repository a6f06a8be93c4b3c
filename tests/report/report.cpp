#include "report/report.h"

#include <cstdlib>
#include <regex>
#include <set>

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/run_folder.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "synthetic_runs.h"
#include "temp_dir.h"

using namespace strata;
using test::slurp;
using test::SyntheticRun;
using test::TempDir;

namespace {

const std::vector<std::string> kFigures = {
    "fig-accuracy",           "fig-client-accuracy", "fig-scores", "fig-assignments",
    "fig-assignments-rounds", "fig-usage",           "fig-front",  "fig-coverage"};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The cells of a table's body, row by row, still escaped.
std::vector<std::vector<std::string>> table(const std::string& page, const std::string& id) {
  const auto begin = page.find("<table id=\"" + id + "\"");
  REQUIRE(begin != std::string::npos);
  const std::string body = page.substr(begin, page.find("</table>", begin) - begin);
  std::vector<std::vector<std::string>> rows;
  const std::regex row("<tr>(<td.*)</tr>"), cell("<td[^>]*>([^<]*)</td>");
  for (std::sregex_iterator r(body.begin(), body.end(), row), end; r != end; ++r) {
    const std::string cells = (*r)[1];
    rows.emplace_back();
    for (std::sregex_iterator c(cells.begin(), cells.end(), cell); c != end; ++c) {
      rows.back().push_back((*c)[1]);
    }
  }
  return rows;
}

std::multiset<std::string> ids(const std::string& page) {
  std::multiset<std::string> found;
  const std::regex id("\\sid=[\"']([^\"']*)[\"']");
  for (std::sregex_iterator i(page.begin(), page.end(), id), end; i != end; ++i) {
    found.insert((*i)[1]);
  }
  return found;
}

/// A small run: quick to draw, and every number in it is easily recomputed.
SyntheticRun small() {
  SyntheticRun run;
  run.rounds = 2;
  run.budget = 2;
  run.clients = {"north", "south", "west"};
  run.units = {"block.0", "block.1", "block.2", "block.3"};
  return run;
}

std::string message_of(const std::filesystem::path& folder) {
  try {
    write_report(folder);
  } catch (const InputError& error) {
    CHECK_FALSE(std::filesystem::exists(folder / "report.html"));
    return error.what();
  }
  return "no InputError";
}

void replace_in(const std::filesystem::path& file, const std::string& from, const std::string& to) {
  std::string text = slurp(file);
  REQUIRE(contains(text, from));
  text.replace(text.find(from), from.size(), to);
  write_file(file, text);
}

}  // namespace

TEST_CASE("a page about an experiment is complete, unambiguous and self-contained") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 4, 2, small());
  const auto path = write_report(folder.path()).page;
  REQUIRE(path == folder / "report.html");
  const std::string page = slurp(path);

  const auto found = ids(page);
  for (const auto& id : kFigures) {
    INFO(id);
    CHECK(found.count(id) == 1);
  }
  for (const auto& id : found) {
    INFO(id);
    REQUIRE(found.count(id) == 1);
  }
  // Every reference inside the page leads to an id that exists.
  const std::regex reference("(?:href=[\"']#|url\\(#)([^\"')]+)");
  std::size_t references = 0;
  for (std::sregex_iterator i(page.begin(), page.end(), reference), end; i != end; ++i) {
    ++references;
    REQUIRE(found.count((*i)[1]) == 1);
  }
  CHECK(references > 0);

  CHECK_FALSE(
      std::regex_search(page, std::regex("(src|href|action|data)\\s*=\\s*[\"']?(https?:)?//")));
  CHECK_FALSE(std::regex_search(
      page, std::regex("url\\(\\s*[\"']?[^#]|@import|<link|<script|<image|<img")));
  std::string without_namespace = page;
  const std::string name = "xmlns=\"http://www.w3.org/2000/svg\"";
  for (auto at = without_namespace.find(name); at != std::string::npos;
       at = without_namespace.find(name)) {
    without_namespace.erase(at, name.size());
  }
  CHECK_FALSE(contains(without_namespace, "://"));
  CHECK_FALSE(contains(page, "<?xml"));
  CHECK(contains(page, "Synthetic data"));

  // The same folder gives the same bytes.
  write_report(folder.path());
  CHECK(slurp(path) == page);
}

TEST_CASE("the tables hold the numbers of the files") {
  const TempDir folder;
  const SyntheticRun shape = small();
  test::write_synthetic_experiment(folder.path(), 3, 1, shape);
  const std::string page = slurp(write_report(folder.path()).page);

  const auto results = table(page, "table-result");
  REQUIRE(results.size() == 3);
  // The planned strategy first, the baselines after it by name.
  CHECK(results[0][0] == "f3ocus");
  CHECK(results[1][0] == "random");
  CHECK(results[2][0] == "topk");
  SyntheticRun run = shape;
  const auto metrics = test::synthetic_metrics(run);
  const auto row = [&](int round, const std::string& client) {
    for (const auto& r : metrics) {
      if (r.round == round && r.client == client) return r;
    }
    throw std::logic_error("no such row");
  };
  CHECK(results[0][1] == "1");
  CHECK(results[0][2] == fixed(100 * row(2, "all").accuracy, 1));
  CHECK(results[0][3] == fixed(100 * row(2, "mean").accuracy, 1));
  CHECK(results[0][4] == fixed(100 * row(0, "all").accuracy, 1));
  // Clients send 0.5, 0.625 and 0.75 MBit in each of two rounds and receive 1 each.
  CHECK(results[0][5] == fixed((0.5 + 0.625 + 0.75) / 3, 2));
  CHECK(results[0][6] == fixed(2 * (0.5 + 0.625 + 0.75) + 6, 1));
  CHECK(results[0][7] == "1.5");

  const auto bytes = table(page, "table-bytes");
  REQUIRE(bytes.size() == 4);
  const double full = 8e-6 * (4 * 199936 + 48000);
  CHECK(bytes[0] == std::vector<std::string>{"f3ocus", "0.625", "1.000", "3.8", "6.0", "9.8",
                                             fixed(100 * 1.625 / (2 * full), 1)});
  CHECK(bytes[3][1] == fixed(full, 3));
  CHECK(bytes[3][5] == fixed(12 * full, 1));
  const auto clients = table(page, "table-client-bytes");
  REQUIRE(clients.size() == 3);
  CHECK(clients[1][0] == "south");
  CHECK(clients[1][1] == "0.625");
  CHECK(clients[1][2] == "1.000");

  const auto before_after = table(page, "table-usage");
  REQUIRE(before_after.size() == 2);
  const ScoreTable scores = test::synthetic_scores(run, 1);
  const Plan plan = test::synthetic_plan(run, scores, 1);
  run.algorithm = "topk";
  const Plan top = test::synthetic_plan(run, scores, 1);
  CHECK(before_after[0] == std::vector<std::string>{"1", fixed(top.objectives.usage_variance, 3),
                                                    fixed(plan.objectives.usage_variance, 3),
                                                    fixed(top.objectives.importance, 3),
                                                    fixed(plan.objectives.importance, 3)});
  const auto front = table(page, "table-front");
  REQUIRE(front.size() == 2);
  CHECK(front[0][3] == std::to_string(plan.front.size()));
  CHECK(front[0][6] == "0.0125");
  CHECK(front[0][7] == "0.50");
  CHECK(front[0][8] == "1.0000");

  // Which units nobody trains follows from the plans.
  const auto coverage = table(page, "table-coverage");
  const auto counts = usage(top.assignment);
  std::string untrained;
  for (std::size_t l = 0; l < counts.size(); ++l) {
    if (counts[l] == 0) untrained += (untrained.empty() ? "" : ", ") + run.units[l];
  }
  REQUIRE_FALSE(untrained.empty());
  bool named = false;
  for (const auto& r : coverage)
    named = named || (r[0] == "topk" && r[1] == "1" && r[2] == untrained);
  CHECK(named);
}

TEST_CASE("seeds are summarised by their mean and range") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 1, 3, small());
  const auto results = table(slurp(write_report(folder.path()).page), "table-result");
  double sum = 0;
  std::vector<std::string> values;
  for (const std::uint64_t seed : {1, 2, 3}) {
    SyntheticRun run = small();
    run.seed = seed;
    const double value = 100 * test::synthetic_metrics(run)[2 * 5 + 3].accuracy;
    sum += value;
    values.push_back(fixed(value, 1));
  }
  CHECK(results[0][1] == "3");
  CHECK(results[0][2] == fixed(sum / 3, 1) + " (" + values[0] + "–" + values[2] + ")");
}

TEST_CASE("a single run and a run without plans are reported, too") {
  const TempDir folder;
  SyntheticRun run = small();
  run.synthetic = false;
  test::write_synthetic_run(run, folder.path());
  const std::string page = slurp(write_report(folder.path()).page);
  for (const auto& id : kFigures) CHECK(contains(page, "<figure id=\"" + id + "\">"));
  CHECK_FALSE(contains(page, "Synthetic data"));

  std::filesystem::remove_all(folder / "rounds");
  const std::string bare = slurp(write_report(folder.path()).page);
  CHECK(contains(bare, "<figure id=\"fig-accuracy\">"));
  CHECK_FALSE(contains(bare, "<figure id=\"fig-front\">"));
  CHECK(contains(bare, "No strategy of this run chooses who trains what."));
}

TEST_CASE("names are data: they are shown as they are and never interpreted") {
  const TempDir folder;
  SyntheticRun run = small();
  run.name = "<script>alert(1)</script> & \"co\"";
  run.clients = {"a_b^{c} <&\"'>", "`touch /tmp/x` %d $(id)", "Zürich-Ωμέγα 病院"};
  run.units = {"u\\n{0}", "id=\"x\" url(#y)", "@system", "très.long.nom.d'unité.qui.ne.finit.pas"};
  test::write_synthetic_run(run, folder.path());
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK_FALSE(contains(page, "<script"));
  CHECK(contains(page, "<h1>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;co&quot;</h1>"));
  const auto clients = table(page, "table-client-bytes");
  CHECK(clients[0][0] == "a_b^{c} &lt;&amp;&quot;&#39;&gt;");
  CHECK(clients[1][0] == "`touch /tmp/x` %d $(id)");
  CHECK(clients[2][0] == "Zürich-Ωμέγα 病院");
  // gnuplot's own escaping, in the figures.
  const std::string figure = page.substr(page.find("<figure id=\"fig-client-accuracy\""));
  CHECK(contains(figure, "a_b^{c} &lt;&amp;\"'></text>"));
  CHECK(contains(figure, "`touch /tmp/x` %d $…</text>"));
  CHECK(contains(figure, "Zürich-Ωμέγα 病院</text>"));
  CHECK(contains(figure, "id=\"x\" url(#y)</text>"));
  CHECK(contains(figure, "u\\n{0}</text>"));
}

TEST_CASE("updates that were not used are named, and count as no training") {
  const TempDir folder;
  test::write_synthetic_run(small(), folder / "run");
  CHECK_FALSE(contains(slurp(write_report(folder / "run").page), "table-missing-updates"));
  const auto run = read_run_folders(folder / "run").runs.front();
  REQUIRE(run.clients.size() > 2);
  const auto file = folder / "run" / "rounds" / "001" / "aggregation.json";
  Json json{{"version", 1},
            {"round", 1},
            {"clients", {run.clients[0]}},
            {"units", Json::array()},
            {"dropped", {run.clients[1]}},
            {"late", {run.clients[0]}},
            {"refused", {{{"client", run.clients[2]}, {"reason", "the weight <w> is not finite"}}}},
            {"too_few", Json::array()}};
  write_file(file, json.dump());
  const auto again = read_run_folders(folder / "run").runs.front();
  REQUIRE(again.missing.size() == 2);
  CHECK(again.used(1, run.clients[0]));
  CHECK_FALSE(again.used(1, run.clients[1]));
  CHECK(again.used(2, run.clients[1]));
  const std::string page = slurp(write_report(folder / "run").page);
  CHECK(contains(page, "table-missing-updates"));
  CHECK(contains(page, "refused: the weight &lt;w&gt; is not finite"));
  std::filesystem::remove(folder / "run" / "report.html");
  json["dropped"] = {"nobody"};
  write_file(file, json.dump());
  CHECK(contains(message_of(folder / "run"), "the client \"nobody\" is not among the clients"));
}

TEST_CASE("damaged folders are refused in one line that says what is wrong where") {
  const TempDir folder;
  CHECK(message_of(folder / "absent") ==
        (folder / "absent").string() +
            ": no such folder; the folder of a run or of an experiment is needed");
  CHECK(message_of(folder.path()) ==
        folder.path().string() + ": no run here: neither run.json nor a sub-folder that holds one");

  const auto fresh = [&] {
    std::filesystem::remove_all(folder / "run");
    test::write_synthetic_run(small(), folder / "run");
    return folder / "run";
  };
  auto run = fresh();
  std::filesystem::remove(run / "metrics.csv");
  CHECK(contains(message_of(run), "metrics.csv: missing"));
  for (const std::string name :
       {"rounds/002/plan.json", "rounds/001/scores.json", "rounds/002/scores.json", "run.json"}) {
    run = fresh();
    std::filesystem::remove(run / name);
    CHECK(contains(message_of(run), name + ": missing"));
  }
  std::filesystem::create_directories(folder / "beside");
  CHECK(contains(message_of(folder.path()), "run.json: missing"));

  run = fresh();
  replace_in(run / "metrics.csv", "1,south,", "1,suoth,");
  CHECK(contains(message_of(run),
                 "metrics.csv: round 1 has the client \"suoth\", which run.json does "
                 "not name (did you mean \"south\"?)"));
  run = fresh();
  replace_in(run / "metrics.csv", "1,south,", "1,north,");
  CHECK(contains(message_of(run), "two rows for round 1 and client \"north\""));
  run = fresh();
  replace_in(run / "metrics.csv", "2,all,", "1,west,");
  CHECK(message_of(run) != "no InputError");
  run = fresh();
  replace_in(run / "metrics.csv", "1,south,110", "1,south,many");
  CHECK(contains(message_of(run), "metrics.csv:"));
  CHECK(contains(message_of(run), "\"many\""));

  run = fresh();
  replace_in(run / "rounds/001/plan.json", "\"version\": 1", "\"version\": 7");
  CHECK(contains(message_of(run), "plan.json"));
  run = fresh();
  write_file(run / "rounds/002/plan.json", "{\"version\": 1,");
  CHECK(contains(message_of(run), "002/plan.json"));
  run = fresh();
  write_file(run / "rounds/002/scores.json", slurp(run / "rounds/002/scores.json").substr(0, 100));
  CHECK(contains(message_of(run), "002/scores.json"));
  run = fresh();
  ScoreTable strange = test::synthetic_scores(small(), 2);
  strange.units[1] = "blok.1";
  write_scores(strange, run / "rounds/002/scores.json");
  CHECK(contains(message_of(run),
                 "the unit \"blok.1\" is not among the selectable units of run.json "
                 "(did you mean \"block.1\"?)"));

  run = fresh();
  replace_in(run / "run.json", "\"strategy\"", "\"stratgy\"");
  CHECK(contains(message_of(run), "run.json: strategy"));
  run = fresh();
  replace_in(run / "run.json", "\"budget\": 2", "\"budget\": 5");
  CHECK(contains(message_of(run), "run.json: budget"));

  std::filesystem::remove_all(folder / "run");
  test::write_synthetic_run(small(), folder / "a");
  test::write_synthetic_run(small(), folder / "b");
  CHECK(contains(message_of(folder.path()),
                 "the strategy \"f3ocus\" with seed 1 is already in " + (folder / "a").string()));
}

TEST_CASE("gnuplot's absence and its complaints are reported") {
  const auto failure = [](const std::string& script) -> std::string {
    try {
      gnuplot_svg(script, 300, 200);
    } catch (const WorkError& error) {
      return error.what();
    }
    return "no WorkError";
  };
  const std::string complaint = failure("plot nonsense(\n");
  CHECK(complaint.find("gnuplot failed to draw a figure: ") == 0);
  CHECK(contains(complaint, "line "));
  CHECK_FALSE(contains(complaint, "\n"));
  const TempDir empty;
  const std::string path = std::getenv("PATH");
  setenv("PATH", empty.path().c_str(), 1);
  const std::string absence = failure("plot x\n");
  setenv("PATH", path.c_str(), 1);
  // Any other terminal in the environment would end gnuplot before it reads the script.
  setenv("GNUTERM", "no such terminal", 1);
  CHECK(contains(gnuplot_svg("plot x\n", 300, 200), "</svg>"));
  unsetenv("GNUTERM");
  const auto fake = empty.write("gnuplot", "#!/bin/sh\nexec sleep 1000\n");
  std::filesystem::permissions(fake, std::filesystem::perms::owner_all);
  setenv("PATH", (empty.path().string() + ":" + path).c_str(), 1);
  const std::string hanging = [] {
    try {
      gnuplot_svg("plot x\n", 300, 200, std::chrono::seconds(1));
    } catch (const WorkError& error) {
      return std::string(error.what());
    }
    return std::string("no WorkError");
  }();
  setenv("PATH", path.c_str(), 1);
  CHECK(hanging == "gnuplot has not drawn a figure within 1 s, and was ended");
  CHECK(contains(absence, "gnuplot was not found"));
  CHECK(contains(absence, "gnuplot-nox"));
}

TEST_CASE("inlining prefixes ids and references and leaves text alone") {
  CHECK(gnuplot_quote("it's 5%\n") == "'it''s 5% '");
  CHECK(gnuplot_quote("5%", true) == "'5%%'");
  const std::string svg =
      "<?xml version=\"1.0\"?>\n<svg width=\"1\" "
      "xmlns:xlink=\"http://www.w3.org/1999/xlink\"><title>g"
      "</title><g id='a' font-family=\"DejaVu Sans\"><use xlink:href='#a'/></g><g "
      "clip-path=\"url(#b)\"/>"
      "<text> id='a' url(#b)</text></svg>";
  CHECK(inline_svg(svg, "f-", "a \"b\"") ==
        "<svg role=\"img\" aria-label=\"a &quot;b&quot;\" width=\"1\" ><g id='f-a'><use "
        "href='#f-a'/></g>"
        "<g clip-path=\"url(#f-b)\"/><text> id='a' url(#b)</text></svg>");
}

TEST_CASE("figures keep to their palettes and skip what is not a number") {
  CHECK(viridis(0) == "#440154");
  CHECK(viridis(1) == "#fde725");
  CHECK(viridis(-3) == viridis(0));
  CHECK(series_colour(7) == series_colour(0));
  CHECK(shortened("Größe", 5) == "Größe");
  CHECK(shortened("Größen", 5) == "Größ…");

  Heatmap map;
  map.rows = {"r0", "r1"};
  map.columns = {"c0", "c1"};
  map.values.resize(2, 2);
  map.values << 0, 1, std::nan(""), 0.5;
  map.colour_bar = false;
  map.zero_colour = "#010203";
  const std::string svg = draw(map);
  CHECK(contains(svg, "rgb(  1,   2,   3)"));
  CHECK(contains(svg, "rgb(253, 231,  37)"));
  const std::regex cell("<polygon");
  CHECK(std::distance(std::sregex_iterator(svg.begin(), svg.end(), cell), std::sregex_iterator()) ==
        3);
  CHECK(contains(svg, "width=\"" + std::to_string(2 * 30 + heatmap_margins(map)) + "\""));
}
