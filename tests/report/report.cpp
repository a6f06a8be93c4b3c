#include "report/report.h"

#include <cmath>
#include <cstdlib>
#include <regex>
#include <set>

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/intervals.h"
#include "report/run_folder.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/optimizers/comparison_files.h"
#include "strata/optimizers/statistics.h"
#include "synthetic_runs.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::report;
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
  const std::regex row("<tr[^>]*>(<td.*)</tr>"), cell("<td[^>]*>([^<]*)</td>");
  for (std::sregex_iterator r(body.begin(), body.end(), row), end; r != end; ++r) {
    const std::string cells = (*r)[1];
    rows.emplace_back();
    for (std::sregex_iterator c(cells.begin(), cells.end(), cell); c != end; ++c) {
      rows.back().push_back((*c)[1]);
    }
  }
  return rows;
}

/// One figure of a page.
std::string figure_of(const std::string& page, const std::string& id) {
  const auto begin = page.find("<figure id=\"" + id + "\"");
  REQUIRE(begin != std::string::npos);
  return page.substr(begin, page.find("</figure>", begin) - begin);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
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
  REQUIRE(results.size() == 5);
  // The planned strategy first, the baselines after it by name, then what to hold them against.
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
  const auto& all = row(2, "all");
  CHECK(results[0][1] == fixed(100 * all.accuracy, 1));
  const Interval known =
      wilson(std::lround(all.accuracy * static_cast<double>(all.test_samples)), all.test_samples);
  CHECK(results[0][2] == fixed(100 * known.low, 1) + " to " + fixed(100 * known.high, 1));
  CHECK(results[0][3] == fixed(100 * row(2, "mean").accuracy, 1));
  // Clients send 0.5, 0.625 and 0.75 MBit in each of two rounds and receive 1 each.
  CHECK(results[0][4] == fixed((0.5 + 0.625 + 0.75) / 3, 2));
  CHECK(results[0][5] == fixed(2 * (0.5 + 0.625 + 0.75) + 6, 1));
  CHECK(results[0][6] == "1.5");
  CHECK(results[3][0] == "before training");
  CHECK(results[3][1] == fixed(100 * row(0, "all").accuracy, 1));
  // The most frequent answer is right for questions 0, 1, 5, 6, … of 40, 43 and 46.
  CHECK(results[4][0] == "most frequent answer");
  CHECK(results[4][1] == fixed(100 * (16 + 18 + 19) / 129.0, 1));
  CHECK(results[4][3] == fixed(100 * (16 / 40.0 + 18 / 43.0 + 19 / 46.0) / 3, 1));

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

TEST_CASE("which strategies plan is what their plans say, or in earlier ones whether they chose") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 3, 1, small());
  const auto plans_of = [&](const std::string& strategy) {
    std::vector<std::filesystem::path> plans;
    for (const char* round : {"001", "002"})
      plans.push_back(folder.path() / (strategy + "-seed1") / "rounds" / round / "plan.json");
    return plans;
  };
  const auto strategies = [&] { return read_run_folders(folder.path()).strategies; };
  const std::vector<std::string> by_kind = {"f3ocus", "random", "topk"};
  CHECK(strategies() == by_kind);
  // An algorithm of any name may plan.
  for (const auto& plan : plans_of("topk")) {
    replace_in(plan, "\"algorithm\": \"topk\"", "\"algorithm\": \"annealing\"");
    replace_in(plan, "\"baseline\"", "\"search\"");
  }
  CHECK(strategies() == std::vector<std::string>{"f3ocus", "topk", "random"});
  CHECK(contains(slurp(write_report(folder.path()).page), "</svg>exact front</span>"));
  // Plans without a kind: f3ocus chose from a front, the others had one assignment.
  for (const auto& plan : plans_of("f3ocus")) replace_in(plan, " \"kind\": \"exact\",\n", "");
  for (const auto& plan : plans_of("random")) replace_in(plan, " \"kind\": \"baseline\",\n", "");
  for (const auto& plan : plans_of("topk")) replace_in(plan, " \"kind\": \"search\",\n", "");
  CHECK(strategies() == by_kind);
  CHECK(contains(slurp(write_report(folder.path()).page), "</svg>front found by exact</span>"));
}

TEST_CASE("the plan that is each client's best units has a square, under whatever name") {
  const TempDir folder;
  SyntheticRun shape = small();
  shape.rounds = 1;  // later ones show the primary strategy alone
  test::write_synthetic_experiment(folder.path(), 3, 1, shape);
  const auto legend = [&] {
    return figure_of(slurp(write_report(folder.path()).page), "fig-front");
  };
  CHECK_FALSE(contains(legend(), "importance alone (top-k)"));
  std::filesystem::remove_all(folder / "topk-seed1");
  CHECK(contains(legend(), "importance alone (top-k)"));
}

TEST_CASE("seeds are summarised by their mean and Student's interval") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 1, 3, small());
  const auto results = table(slurp(write_report(folder.path()).page), "table-result");
  std::vector<double> values;
  for (const std::uint64_t seed : {1, 2, 3}) {
    SyntheticRun run = small();
    run.seed = seed;
    values.push_back(100 * test::synthetic_metrics(run)[2 * 5 + 3].accuracy);
  }
  REQUIRE(values[0] != values[1]);
  const Interval known = mean_interval(values, 100.0 / 129);
  CHECK(results[0][1] == "3");
  CHECK(results[0][2] == fixed(known.value, 1));
  CHECK(results[0][3] == fixed(known.low, 1) + " to " + fixed(known.high, 1));
}

TEST_CASE("the result comes first, after the warnings alone, and the settings are folded below") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 3, 1, small());
  replace_in(folder / "topk-seed1" / "run.json", "\"done\"", "\"running\"");
  const std::string page = slurp(write_report(folder.path()).page);
  std::size_t last = 0;
  for (const std::string part :
       {"<h1>", "Synthetic data", "Unfinished: topk", "class=\"verdict\"",
        "<table id=\"table-result\"", "<figure id=\"fig-accuracy\"",
        "<table id=\"table-differences\"", "<figure id=\"fig-client-accuracy\"",
        "<figure id=\"fig-scores\"", "<h2>What was run</h2>", "<table id=\"table-run\"",
        "config.yaml of"}) {
    const std::size_t at = page.find(part);
    INFO(part);
    REQUIRE(at != std::string::npos);
    CHECK(at > last);
    last = at;
  }
  for (const std::string id : {"table-run", "table-units", "table-differences"}) {
    const std::size_t at = page.find("<table id=\"" + id);
    CHECK(count(page.substr(0, at), "<details>") == count(page.substr(0, at), "</details>") + 1);
  }
}

TEST_CASE("test questions are counted, for all clients and for each") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 2, 1, small());
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK(contains(page, "3 clients with 129 test questions (40 to 46 each)"));
  for (const std::string name : {"north (40)", "south (43)", "west (46)"})
    CHECK(contains(page, name + "</text>"));
}

TEST_CASE("the most frequent answer is a line in every plot of accuracies, where it is known") {
  const TempDir folder;
  SyntheticRun shape = small();
  test::write_synthetic_experiment(folder / "new", 3, 1, shape);
  const std::string page = slurp(write_report(folder / "new").page);
  const std::string figure = figure_of(page, "fig-accuracy");
  // One in the legend and one in each panel.
  CHECK(count(figure, "stroke-dasharray=\"6,4\"") == 1);
  CHECK(count(figure, "stroke-dasharray='4.8,3.2'") == 2);
  CHECK(contains(figure, "</svg>most frequent answer</span>"));
  CHECK(contains(figure_of(page, "fig-client-accuracy"), "</svg>most frequent answer</span>"));
  CHECK_FALSE(contains(page, "How often the most frequent answer is right is not known"));

  // Run folders of an earlier Strata are reported without it, and the page says so.
  shape.question_file = false;
  test::write_synthetic_experiment(folder / "old", 3, 1, shape);
  const std::string old = slurp(write_report(folder / "old").page);
  CHECK(table(old, "table-result").size() == 4);
  CHECK_FALSE(contains(figure_of(old, "fig-accuracy"), "'4.8,3.2'"));
  CHECK(contains(old, "How often the most frequent answer is right is not known"));
  CHECK(contains(old, "questions, not paired"));
}

TEST_CASE("nothing is ranked that the intervals do not support") {
  const TempDir folder;
  SyntheticRun shape = small();
  shape.rounds = 5;
  test::write_synthetic_experiment(folder / "one", 3, 1, shape);
  const std::string page = slurp(write_report(folder / "one").page);
  // Each pair by McNemar's exact test on the files, with Holm's correction over all six.
  const auto runs = read_run_folders(folder / "one").runs;
  REQUIRE(runs.size() == 3);
  std::vector<double> p;
  const auto test_of = [&](const auto& first, const auto& second) {
    std::int64_t gained = 0, lost = 0;
    for (std::size_t q = 0; q < runs[0].questions.size(); ++q) {
      gained += first(q) && !second(q);
      lost += !first(q) && second(q);
    }
    p.push_back(paired_questions(gained, lost, 129).p);
  };
  const auto answers = [&](std::size_t run) {
    return [&, run](std::size_t q) { return runs[run].questions[q].correct; };
  };
  const auto majority = [&](std::size_t q) { return runs[0].questions[q].majority_correct; };
  test_of(answers(0), answers(1));
  test_of(answers(0), answers(2));
  test_of(answers(1), answers(2));
  for (std::size_t run = 0; run < 3; ++run) test_of(answers(run), majority);
  const auto adjusted = holm(p);
  const auto rows = table(page, "table-differences");
  REQUIRE(rows.size() == 6);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    INFO(rows[i][0] << " " << rows[i][1]);
    CHECK(rows[i][4] == "questions, paired");
    CHECK(rows[i][5] == (adjusted[i] < 0.0001 ? "&lt; 0.0001" : fixed(adjusted[i], 4)));
    CHECK(rows[i][6] == (adjusted[i] < 0.05 ? "yes" : "no"));
  }
  // f3ocus and topk are alike in these runs, both far from random.
  CHECK(rows[1][6] == "no");
  CHECK(rows[0][6] == "yes");
  CHECK(contains(page, "Told apart: f3ocus above random (95 % interval of the difference +"));
  CHECK(contains(page, "Not told apart: f3ocus and topk."));

  // Equal runs: no pair is told apart, and the page does not call them equal either.
  for (const std::string name : {"a", "b"}) {
    shape.strategy = name;
    test::write_synthetic_run(shape, folder / "equal" / name);
  }
  const std::string equal = slurp(write_report(folder / "equal").page);
  CHECK(contains(equal,
                 "The two strategies cannot be told apart: their difference is no greater than "
                 "another choice of test questions may make by chance. That does not show that "
                 "they are equal."));
  CHECK(contains(equal, "Lines that lie on each other: a and b."));

  // With seeds the differences are paired by seed.
  test::write_synthetic_experiment(folder / "seeds", 3, 3, shape);
  const auto seeds = table(slurp(write_report(folder / "seeds").page), "table-differences");
  REQUIRE(seeds.size() == 6);
  for (const auto& row : seeds) CHECK(row[4] == "seeds, paired");
  const auto several = read_run_folders(folder / "seeds").runs;
  std::vector<double> differences;
  for (std::size_t seed = 0; seed < 3; ++seed) {
    differences.push_back(100 * several[seed].find(5, "all")->accuracy -
                          100 * several[3 + seed].find(5, "all")->accuracy);
  }
  const Interval known = paired_seeds(differences, 100.0 / 129).interval;
  CHECK(seeds[0][2] == "+" + fixed(known.value, 1));
  CHECK(seeds[0][3] == "+" + fixed(known.low, 1) + " to +" + fixed(known.high, 1));

  // Runs that stand at different rounds are not held against each other.
  shape.strategy = "c";
  shape.rounds = 3;
  test::write_synthetic_run(shape, folder / "equal" / "c");
  CHECK(contains(slurp(write_report(folder / "equal").page),
                 "Not compared, as they share no seed at the same round: a and c; b and c."));
}

TEST_CASE("questions that are not those of metrics.csv are refused, or passed over mid-round") {
  const TempDir folder;
  test::write_synthetic_run(small(), folder / "run");
  const auto file = folder / "run" / "questions.csv";
  const std::string good = slurp(file);
  CHECK(read_run_folders(folder / "run").runs[0].questions.size() == 129);
  write_file(file, std::regex_replace(good, std::regex("2,south,0,[01]"), "2,suoth,0,1"));
  CHECK(contains(message_of(folder / "run"), "questions.csv: the client \"suoth\" is not among"));
  write_file(file, good.substr(0, good.rfind("2,west")));
  CHECK(contains(message_of(folder / "run"),
                 "of 45 questions of \"west\" are right, but metrics.csv has"));
  // Written before metrics.csv in a round that was interrupted.
  write_file(file, std::regex_replace(good, std::regex("\n2,"), "\n3,"));
  CHECK(read_run_folders(folder / "run").runs[0].questions.empty());
}

TEST_CASE("clients of one size have one accuracy, not two that are the same") {
  const TempDir folder;
  SyntheticRun shape = small();
  test::write_synthetic_run(shape, folder / "uneven");
  const std::string uneven = slurp(write_report(folder / "uneven").page);
  CHECK(contains(uneven, "<figure id=\"fig-accuracy-plain\">"));
  CHECK(contains(uneven, "client mean, %"));
  shape.further_questions = 0;
  test::write_synthetic_run(shape, folder / "even");
  const std::string even = slurp(write_report(folder / "even").page);
  CHECK_FALSE(contains(even, "fig-accuracy-plain"));
  CHECK_FALSE(contains(even, "client mean, %"));
  CHECK(contains(even, "120 test questions (40 each)"));
}

TEST_CASE("equal lines show by their dashes, and by marks at different points") {
  LineChart chart;
  for (std::size_t i = 0; i < 3; ++i) {
    LineSeries series;
    series.colour = series_colour(i);
    series.dashes = series_dashes(i);
    series.mark = series_mark(i);
    series.x = {0, 1, 2, 3, 4, 5};
    series.y = {1, 3, 2, 5, 4, 6};
    chart.series.push_back(series);
  }
  const std::string svg = inline_svg(draw(chart), "x-", "three equal lines");
  std::set<std::string> places, dashes;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::regex mark(
        "<use href='#x-gpPt[0-9]+' transform='translate\\(([0-9.]+),[^']*' color='" +
        series_colour(i) + "'");
    std::size_t marks = 0;
    for (std::sregex_iterator m(svg.begin(), svg.end(), mark), end; m != end; ++m, ++marks)
      CHECK(places.insert((*m)[1]).second);
    CHECK(marks == 2);
    const std::regex line("<path stroke='" + series_colour(i) + "'( stroke-dasharray='[^']*')?");
    std::smatch found;
    REQUIRE(std::regex_search(svg, found, line));
    CHECK(dashes.insert(found[1]).second);
  }
  std::set<Mark> shapes;
  for (std::size_t i = 0; i < 7; ++i) {
    shapes.insert(series_mark(i));
    dashes.insert(series_dashes(i));
  }
  CHECK(shapes.size() == 7);
}

TEST_CASE("tics are round numbers") {
  CHECK(round_up(0.342168) == Approx(0.5));
  CHECK(round_up(0.2) == Approx(0.2));
  CHECK(round_up(0.21) == Approx(0.25));
  CHECK(round_up(9) == Approx(10));
  const TempDir folder;
  test::write_synthetic_run(small(), folder.path());
  const std::string page = slurp(write_report(folder.path()).page);
  const std::string scores = figure_of(page, "fig-scores");
  // Of the colour bar: numbers that are no cell's, which have two decimals.
  const std::regex number("<text> ?([0-9.]+)</text>");
  std::size_t tics = 0;
  for (std::sregex_iterator n(scores.begin(), scores.end(), number), end; n != end; ++n) {
    ++tics;
    CHECK((*n)[1].length() <= 4);
  }
  CHECK(tics > 0);
}

TEST_CASE("figures take their greys from the page, which has a light and a dark set of them") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 2, 1, small());
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK_FALSE(contains(page, "rgb("));
  const std::size_t style = page.find("</style>");
  for (const std::string colour :
       {"#1f2328", "#57606a", "#8c959f", "#e4e8ec", "#ffffff", "#e9ecef"}) {
    INFO(colour);
    CHECK_FALSE(contains(page.substr(style), colour));
  }
  const std::string dark = "@media screen and (prefers-color-scheme: dark) { :root { ";
  REQUIRE(contains(page, dark));
  const std::string set = page.substr(page.find(dark), 400);
  const std::regex variable("var\\((--[a-z]+)\\)");
  std::size_t used = 0;
  for (std::sregex_iterator v(page.begin(), page.end(), variable), end; v != end; ++v, ++used)
    REQUIRE(contains(set, (*v)[1].str() + ":#"));
  CHECK(used > 100);
}

TEST_CASE("a comparison is named by what was compared, on an axis on which 0.95 and 1.01 differ") {
  const TempDir folder;
  ComparisonOptions options;
  options.algorithms = {"annealing", "nsga2"};
  options.starts = {"greedy", "random"};
  options.evaluations = {2000};
  options.seeds = 2;
  const Comparison comparison = compare(load_instances({"9x24"}, 2, ""), options);
  write_comparison(comparison, folder / "my-folder");
  const std::string page = slurp(write_report(folder / "my-folder").page);
  CHECK(contains(page, "<h1>annealing and nsga2 on 9x24</h1>"));
  CHECK(contains(page, "<title>annealing and nsga2 on 9x24 – Strata comparison</title>"));
  CHECK(contains(page, "16 runs in the folder my-folder"));

  const std::string figure = figure_of(page, "fig-convergence-greedy");
  const std::string random = figure_of(page, "fig-convergence-random");
  const std::string panel = random.substr(0, random.find("</svg>", random.find("role=\"img\"")));
  const auto height_of = [&](const std::string& tic) {
    const std::regex text(
        "translate\\([0-9.]+,([0-9.]+)\\)\"[^>]*text-anchor=\"end\">\\s*<text> ?" + tic +
        "</text>");
    std::smatch found;
    REQUIRE(std::regex_search(panel, found, text));
    return std::stod(found[1]);
  };
  // Of 240 pixels; linear from 0 to 1.01 it would be 12.
  CHECK(height_of("0\\.95") - height_of("1") > 40);
  // Random starts have no area at first: nothing is drawn there.
  std::int64_t first = 2000;
  for (const ComparisonCurve& curve : comparison.curves) {
    for (std::size_t i = 0; i < curve.upper.size(); ++i) {
      if (curve.group.start == "random" && curve.upper[i] > 0)
        first = std::min(first, curve.evaluations[i]);
    }
  }
  REQUIRE(first > 10);
  CHECK_FALSE(contains(random, "<text> 10</text>"));
  CHECK(contains(figure, "<text> 10</text>"));
  // Every convergence panel has its box plots beside it.
  CHECK(count(random, "role=\"img\"") == 2);
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

TEST_CASE("a comparison ranks over instances, each counted once, with an effect size") {
  const TempDir folder;
  ComparisonOptions options;
  options.algorithms = {"annealing", "nsga2", "abc"};
  options.evaluations = {1000};
  options.seeds = 3;
  const Comparison comparison = compare(load_instances({"9x24"}, 4, ""), options);
  write_comparison(comparison, folder.path());
  const auto rows = table(slurp(write_report(folder.path()).page), "table-ranks");
  REQUIRE(rows.size() == 3);
  std::vector<std::vector<double>> medians;
  std::vector<std::vector<std::vector<double>>> ratios(4, std::vector<std::vector<double>>(3));
  for (const ComparisonRun& run : comparison.runs) {
    const auto a = std::find(options.algorithms.begin(), options.algorithms.end(), run.algorithm);
    ratios[run.instance_seed - 1][static_cast<std::size_t>(a - options.algorithms.begin())]
        .push_back(run.hypervolume_ratio);
  }
  for (const auto& instance : ratios) {
    medians.emplace_back();
    for (const auto& seeds : instance) medians.back().push_back(quartiles(seeds).median);
  }
  const FriedmanTest test = friedman(medians);
  std::size_t best = 0;
  for (std::size_t a = 0; a < 3; ++a) {
    CHECK(rows[a][2] == options.algorithms[a]);
    CHECK(rows[a][3] == fixed(test.mean_ranks[a], 2));
    CHECK(rows[a][6] == "4");
    CHECK(rows[a][7] == fixed(test.p, 4));
    if (rows[a][4] == "best") best = a;
  }
  const std::size_t other = best == 0 ? 1 : 0;
  double effect = 0;
  for (const auto& instance : ratios) effect += vargha_delaney(instance[best], instance[other]) / 4;
  CHECK(rows[other][5] == fixed(effect, 2));
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
  CHECK(contains(figure, "`touch /tmp/x` %d $… (43)</text>"));
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
  replace_in(run / "rounds/001/plan.json", "\"version\": 2", "\"version\": 7");
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
