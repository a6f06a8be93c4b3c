#include "strata/fedrunner/sites.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "strata/core/atomic_file.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using strata::test::input_error_if_any;
using strata::test::TempDir;

namespace {

const std::string kPng("\x89PNG\r\n\x1a\nrest", 12);

SiteSlices two_slices() {
  return {4,
          {{"ward, west", "a.nii.gz", 3, 5, 6, kPng, {{"kidney", "M0 0h1v1h-1z", ""}}},
           {"east", "b.nii.gz", 0, 2, 2, kPng + "2", {}}}};
}

}  // namespace

TEST_CASE("the sites' metrics are the same after their file") {
  const TempDir dir;
  const auto path = dir / "sites.csv";
  write_sites({{"dice", "hd95"},
               {{"ward, west", "kidney", 3, {1.0 / 3, std::numeric_limits<double>::quiet_NaN()}},
                {"east", "tumor", 1, {0, 12.5}}}},
              path);
  CHECK(read_file(path) ==
        "client,class,volumes,dice,hd95\n\"ward, west\",kidney,3,0.3333333333333333,\n"
        "east,tumor,1,0,12.5\n");
  const SiteTable table = read_sites(path);
  CHECK(table.metrics == std::vector<std::string>{"dice", "hd95"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].client == "ward, west");
  CHECK(table.rows[0].class_name == "kidney");
  CHECK(table.rows[0].volumes == 3);
  CHECK(table.rows[0].values[0] == 1.0 / 3);
  CHECK(std::isnan(table.rows[0].values[1]));
  CHECK(table.rows[1].values == std::vector<double>{0, 12.5});
}

TEST_CASE("a damaged file of sites is refused by place") {
  const TempDir dir;
  const auto of = [&](const std::string& text) {
    return input_error_if_any([&] { read_sites(dir.write("sites.csv", text)); });
  };
  CHECK_THAT(of("client,class,volumes\na,b,1\n"),
             Contains("sites.csv:1: the header is") && Contains("client,class,volumes,(metrics"));
  CHECK_THAT(of("client,class,volumes,dice\na,b,x,1\n"),
             Contains("sites.csv:2: volumes: \"x\" is not a whole number"));
  CHECK_THAT(of("client,class,volumes,dice\na,b,1,x\n"),
             Contains("sites.csv:2: dice: \"x\" is not a number"));
}

TEST_CASE("slices are the same after their files") {
  const TempDir dir;
  write_slices(two_slices(), dir / "slices");
  CHECK(read_file(dir / "slices/000.png") == kPng);
  const SiteSlices found = read_slices(dir / "slices");
  CHECK(found.round == 4);
  REQUIRE(found.slices.size() == 2);
  const SiteSlice& first = found.slices[0];
  CHECK(first.client == "ward, west");
  CHECK(first.volume == "a.nii.gz");
  CHECK((first.slice == 3 && first.width == 5 && first.height == 6));
  CHECK(first.image == kPng);
  REQUIRE(first.classes.size() == 1);
  CHECK(first.classes[0].class_name == "kidney");
  CHECK(first.classes[0].truth == "M0 0h1v1h-1z");
  CHECK(first.classes[0].prediction.empty());
  CHECK(found.slices[1].image == kPng + "2");
}

TEST_CASE("slices that would put anything else into a page are refused") {
  const TempDir dir;
  const auto with = [&](const std::function<void(SiteSlices&)>& change) {
    SiteSlices slices = two_slices();
    change(slices);
    write_slices(slices, dir / "slices");
    return input_error_if_any([&] { read_slices(dir / "slices"); });
  };
  CHECK(with([](SiteSlices&) {}).empty());
  CHECK_THAT(with([](SiteSlices& s) { s.slices[1].image = "<svg/>"; }),
             Contains("001.png: is no PNG image"));
  CHECK_THAT(with([](SiteSlices& s) { s.slices[0].classes[0].prediction = "M0 0\"/><script>"; }),
             Contains("slices.json: ") && Contains("prediction: is no outline"));
  CHECK_THAT(with([](SiteSlices& s) { s.slices[0].width = 0; }), Contains("width"));
  CHECK_THAT(with([](SiteSlices& s) { s.slices[0].client = ""; }), Contains("client"));
  with([](SiteSlices&) {});
  std::filesystem::remove(dir / "slices/001.png");
  CHECK_THAT(input_error_if_any([&] { read_slices(dir / "slices"); }), Contains("001.png"));
}
