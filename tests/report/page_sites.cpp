// What the page of a run of segmentation has beside that of others.
#include "pages.h"
#include "strata/fedrunner/round_folder.h"
#include "strata/fedrunner/sites.h"

using namespace strata;
using namespace strata::report;
using Catch::Matchers::Contains;
using strata::test::contains;
using strata::test::count;
using strata::test::figure_of;
using strata::test::SyntheticRun;
using strata::test::table;
using strata::test::TempDir;

namespace {

const std::string kPng("\x89PNG\r\n\x1a\n", 8);

SyntheticRun hospitals(const std::string& strategy, std::uint64_t seed) {
  SyntheticRun run;
  run.strategy = strategy;
  run.algorithm = "random";
  run.seed = seed;
  run.rounds = 3;
  run.clients = {"north", "south & west"};
  run.units = {"block.0", "block.1"};
  run.budget = 1;
  run.question_file = false;
  return run;
}

/// Of `means`, by client: what the classes have is 5 % below and above.
void write_round(const SyntheticRun& run, const std::filesystem::path& folder, int round,
                 const std::vector<double>& means) {
  fedrunner::SiteTable sites{{"dice"}, {}};
  for (std::size_t i = 0; i < run.clients.size(); ++i) {
    sites.rows.push_back({run.clients[i], "kidney", 2, {means[i] + 0.05}});
    sites.rows.push_back({run.clients[i], "tumor", 2, {means[i] - 0.05}});
  }
  fedrunner::write_sites(sites, fedrunner::round_folder(folder, round) / "sites.csv");
}

/// Evaluated in the rounds 0, 1 and 3, of which `means` has what the clients reach.
void write_segmentation(const SyntheticRun& run, const std::filesystem::path& folder,
                        const std::map<int, std::vector<double>>& means) {
  test::write_synthetic_run(run, folder);
  fedrunner::RoundTable metrics{{"dice"}, test::synthetic_metrics(run)};
  for (fedrunner::RoundMetrics& row : metrics.rows) {
    const auto found = means.find(row.round);
    row.values.assign(1, std::numeric_limits<double>::quiet_NaN());
    row.up_mbit = row.round > 0 ? 32 : 0;
    row.down_mbit = row.round > 1 ? 32 : 0;
    if (found == means.end()) continue;
    const auto& [north, south] = std::tie(found->second[0], found->second[1]);
    row.values[0] = row.is_aggregate()      ? (north + south) / 2
                    : row.client == "north" ? north
                                            : south;
  }
  fedrunner::write_metrics(metrics, folder / "metrics.csv");
  for (const auto& [round, values] : means) write_round(run, folder, round, values);
  fedrunner::write_slices(
      {3,
       {{"north",
         "a.nii.gz",
         4,
         10,
         20,
         kPng,
         {{"kidney", "M0 0h1v1h-1z", "M2 2h1v1h-1z"}, {"tumor", "M5 5h1v1h-1z", ""}}},
        {"south & west", "b.nii.gz", 0, 10, 10, kPng + "b", {{"kidney", "", ""}}}}},
      folder / "slices");
}

struct Runs : TempDir {
  Runs() {
    write_segmentation(hospitals("full", 1), path() / "full-seed1",
                       {{0, {0.1, 0.2}}, {1, {0.5, 0.7}}, {3, {0.6, 0.4}}});
    write_segmentation(hospitals("head", 1), path() / "head-seed1",
                       {{0, {0.1, 0.2}}, {1, {0.3, 0.2}}, {3, {0.3, 0.4}}});
  }
  std::string page() const { return read_file(write_report(path()).page); }
};

}  // namespace

TEST_CASE("a site has its classes after the last and in the best round, and the worst is named") {
  const Runs runs;
  const std::string page = runs.page();
  using Rows = std::vector<std::vector<std::string>>;
  CHECK(table(page, "table-sites") ==
        Rows{{"full", "north", "65.0", "55.0", "60.0", "55.0", "45.0", "50.0"},
             {"full", "south &amp; west", "45.0", "35.0", "40.0", "75.0", "65.0", "70.0"},
             {"head", "north", "35.0", "25.0", "30.0", "35.0", "25.0", "30.0"},
             {"head", "south &amp; west", "45.0", "35.0", "40.0", "45.0", "35.0", "40.0"}});
  CHECK(contains(page, "full: south &amp; west (40.0 %), in the best round north (50.0 %)"));
  CHECK(contains(page, "head: north (30.0 %), in the best round north (30.0 %)"));
}

TEST_CASE("each site's slice is on the page once, and every strategy's outlines on it") {
  const Runs runs;
  const std::string page = runs.page(), figure = figure_of(page, "fig-slices");
  CHECK(count(figure, "<svg role") == 4);
  CHECK(count(figure, "href=\"data:image/png;base64,") == 2);
  CHECK(contains(figure, "base64,iVBORw0KGgo=\""));
  CHECK(contains(figure, "base64,iVBORw0KGgpi\""));
  CHECK(count(figure, "<use href=\"#fig-slices-image-1\"/>") == 1);
  CHECK(contains(figure, "aria-label=\"Slice 5 of a.nii.gz: north, full\""));
  CHECK(contains(figure, "aria-label=\"Slice 1 of b.nii.gz: south &amp; west, head\""));
  // What is true is solid and what the model says is dashed, in the class's colour.
  CHECK(contains(figure, "<path d=\"M0 0h1v1h-1z\" fill=\"none\" stroke=\"" + series_colour(0) +
                             "\" "
                             "stroke-width=\"2\" vector-effect=\"non-scaling-stroke\"/>"));
  CHECK(contains(figure, "<path d=\"M2 2h1v1h-1z\" fill=\"none\" stroke=\"" + series_colour(0) +
                             "\" "
                             "stroke-width=\"2\" vector-effect=\"non-scaling-stroke\" "
                             "stroke-dasharray=\"5,3\"/>"));
  CHECK(count(figure, "<path d=\"M5 5h1v1h-1z\"") == 2);
  CHECK_FALSE(contains(figure, "<path d=\"\""));
  CHECK(figure.find("://") == std::string::npos);
}

TEST_CASE("traffic is counted as FLAP-SAM's paper does, in both readings of its 800") {
  const Runs runs;
  const auto rows = table(runs.page(), "table-published-traffic");
  REQUIRE(rows.size() == 2);
  // 32 MBit a round are 10⁶ weights: 800 · 10⁶ / 2³⁰ = 0.7451. Up in three rounds, down in two.
  CHECK(rows[0] == std::vector<std::string>{"full", "1\u202f000\u202f000", "0.7451", "0.0931",
                                            "0.7451", "3", "0.0112", "0.0186"});
}

TEST_CASE("slices of an interrupted or an outgrown round are not shown") {
  const Runs runs;
  for (const char* run : {"full-seed1", "head-seed1"}) {
    auto slices = fedrunner::read_slices(runs.path() / run / "slices");
    slices.round = 2;
    fedrunner::write_slices(slices, runs.path() / run / "slices");
  }
  const std::string page = runs.page();
  CHECK(contains(page, "table-sites"));
  CHECK_FALSE(contains(page, "fig-slices"));
}

TEST_CASE("a page of another task has nothing of sites, and a stranger among them is refused") {
  const TempDir other;
  test::write_synthetic_run(hospitals("full", 1), other.path());
  const std::string page = read_file(write_report(other.path()).page);
  for (const char* id : {"table-sites", "fig-slices", "table-published-traffic"})
    CHECK_FALSE(contains(page, id));

  const auto refused = [](const std::filesystem::path& folder) -> std::string {
    try {
      write_report(folder);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  const Runs runs;
  SyntheticRun strange = hospitals("full", 1);
  strange.clients[1] = "sooth";
  write_round(strange, runs.path() / "full-seed1", 1, {0.1, 0.2});
  CHECK_THAT(refused(runs.path()), Contains("rounds/001/sites.csv: the client \"sooth\" is not"));
  write_round(hospitals("full", 1), runs.path() / "full-seed1", 1, {0.1, 0.2});
  auto slices = fedrunner::read_slices(runs.path() / "head-seed1/slices");
  slices.slices[0].client = "sooth";
  fedrunner::write_slices(slices, runs.path() / "head-seed1/slices");
  CHECK_THAT(refused(runs.path()), Contains("slices/slices.json: the client \"sooth\" is not"));
}
