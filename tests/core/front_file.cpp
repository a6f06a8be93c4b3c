#include "strata/core/front_file.h"

#include <nlohmann/json.hpp>

#include "catch.h"

using namespace strata;

namespace {

Plan two_points() {
  Plan plan;
  plan.clients = {"ct", "mri, \"B\""};
  plan.units = {"block.0", "block.1", "head"};
  plan.front = {{1.5, 0.25}, {2, 0.5}};
  plan.row = 2;
  Assignment first(2, 3), second(2, 3);
  first << 1, 0, 1, 0, 0, 0;
  second << 0, 1, 0, 1, 1, 1;
  plan.archive = {first, second};
  return plan;
}

}  // namespace

TEST_CASE("a front's CSV holds the plan's row and every point's assignment") {
  CHECK(front_text(two_points(), "front.csv") ==
        "row,chosen,importance,usage_variance,ct,\"mri, \"\"B\"\"\"\n"
        "1,0,1.5,0.25,block.0 head,\n"
        "2,1,2,0.5,block.1,block.0 block.1 head\n");
  Plan four = two_points();
  four.front = {{1.5, 0.25, 300, 0.5}, {2, 0.5, 400, 0.75}};
  CHECK(front_text(four, "front.txt").substr(0, 112) ==
        "row,chosen,importance,usage_variance,uplink_bytes,slowest_seconds,ct,\"mri, \"\"B\"\"\"\n"
        "1,0,1.5,0.25,300,0.5,block.0 h");
}

TEST_CASE("a front's JSON holds the same") {
  const auto front = nlohmann::json::parse(front_text(two_points(), "a/front.json"));
  CHECK(front["version"] == 1);
  CHECK(front["chosen"] == 2);
  CHECK(front["units"] == std::vector<std::string>{"block.0", "block.1", "head"});
  REQUIRE(front["points"].size() == 2);
  CHECK(front["points"][0]["row"] == 1);
  CHECK(front["points"][0]["usage_variance"] == 0.25);
  CHECK(front["points"][0]["assignment"]["ct"] == std::vector<std::string>{"block.0", "head"});
  CHECK(front["points"][0]["assignment"]["mri, \"B\""].empty());
  CHECK(front["points"][1]["assignment"]["mri, \"B\""].size() == 3);
}

TEST_CASE("a front of ranks names the rank of each unit") {
  Plan plan = two_points();
  plan.ranks = 4;
  Assignment first(2, 3), second(2, 3);
  first << 4, 0, 1, 0, 0, 0;
  second << 0, 2, 0, 1, 1, 3;
  plan.archive = {first, second};
  CHECK(front_text(plan, "front.csv") ==
        "row,chosen,importance,usage_variance,ct,\"mri, \"\"B\"\"\"\n"
        "1,0,1.5,0.25,block.0:4 head:1,\n"
        "2,1,2,0.5,block.1:2,block.0:1 block.1:1 head:3\n");
  const auto front = nlohmann::json::parse(front_text(plan, "front.json"));
  CHECK(front["points"][0]["assignment"]["ct"] == nlohmann::json{{"block.0", 4}, {"head", 1}});
  CHECK(front["points"][0]["assignment"]["mri, \"B\""] == nlohmann::json::object());
}

TEST_CASE("a front without its assignments is its objectives") {
  Plan plan = two_points();
  plan.archive.pop_back();
  CHECK(front_text(plan, "front.csv") ==
        "row,chosen,importance,usage_variance\n1,0,1.5,0.25\n2,1,2,0.5\n");
  CHECK_FALSE(
      nlohmann::json::parse(front_text(plan, "f.json"))["points"][0].contains("assignment"));
}
