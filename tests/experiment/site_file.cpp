#include "experiment/site_file.h"

#include "catch.h"
#include "support/documented.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::experiment;
using Catch::Matchers::Contains;
using strata::test::TempDir;

TEST_CASE("a site file is read whole, with folders from its own") {
  const TempDir dir;
  const auto read = [&](const std::string& text) {
    dir.write("site.yaml", text);
    return read_site_file(dir / "site.yaml", {"hello", "score", "train"}, {"lntk", "fisher"});
  };
  const SiteFile site = read(
      "version: 1\ndata: ../scans\nmodel: models/vilt\nclients: [a, b]\nphases: [hello, score]\n"
      "metrics: [lntk]\nbudget: {a: 4MB, b: 8MB}\nleast_samples: 7\n"
      "private_scores: {epsilon: 2, delta: 1e-6, releases: 3, ledger: l.txt}\n");
  CHECK(site.file == (dir / "site.yaml").string());
  CHECK(site.data == (dir.path().parent_path() / "scans").string());
  CHECK(site.model == (dir / "models/vilt").string());
  CHECK(site.clients == std::vector<std::string>{"a", "b"});
  CHECK(site.phases == std::vector<std::string>{"hello", "score"});
  CHECK(site.metrics == std::vector<std::string>{"lntk"});
  REQUIRE(site.budget.has_value());
  CHECK(site.budget->of == "bytes");
  CHECK(site.budget->values({"b", "a"}, 3) == std::vector<std::int64_t>{8000000, 4000000});
  CHECK(site.least_samples == 7);
  REQUIRE(site.private_scores.has_value());
  CHECK(site.private_scores->epsilon == 2);
  CHECK(site.private_scores->delta == 1e-6);
  CHECK(site.private_scores->releases == 3);
  CHECK(site.private_scores->ledger == (dir / "l.txt").string());
  const SiteFile least = read("version: 1\ndata: d\nmodel: /m\n");
  CHECK(least.model == "/m");
  CHECK_FALSE(least.budget.has_value());
  CHECK_FALSE(least.private_scores.has_value());
  CHECK(least.least_samples == 1);

  const auto error = [&](const std::string& line) {
    return test::input_error([&] { read("version: 1\ndata: d\nmodel: m\n" + line + "\n"); });
  };
  CHECK_THAT(error("least_sample: 3"),
             Contains("site.yaml:4: least_sample: unknown key") && Contains("least_samples"));
  CHECK_THAT(error("phases: [evaluate]"), Contains("phases") && Contains("evaluate"));
  CHECK_THAT(error("metrics: [fishers]"), Contains("did you mean \"fisher\""));
  CHECK_THAT(error("budget: lots"), Contains("budget"));
  CHECK_THAT(error("private_scores: {epsilon: 0, releases: 1, ledger: l}"), Contains("epsilon"));
  CHECK_THAT(error("private_scores: {epsilon: 1, releases: 1}"), Contains("ledger"));
}

TEST_CASE("docs/consortium.md has the keys of a site file as its list documents them") {
  test::check_documented("docs/consortium.md", "The site's keys", "experiment/site_file",
                         documented_site_keys());
}
