#include "core/yaml_text.h"

#include "catch.h"

using namespace strata;

TEST_CASE("mappings are blocks, lists of mappings have a line each, the rest stands in one line") {
  const Json value = {{"name", "demo"},
                      {"run", {{"rounds", 3}, {"seeds", {1, 2}}, {"rate", 1.0}}},
                      {"strategies", {{{"name", "a"}}, {{"name", "b"}}}},
                      {"none", Json::object()},
                      {"empty", Json::array()}};
  CHECK(to_yaml(value) ==
        "name: demo\nrun:\n  rounds: 3\n  seeds: [1, 2]\n  rate: 1.0\nstrategies:\n"
        "  - {name: a}\n  - {name: b}\nnone: {}\nempty: []\n");
  CHECK(parse_yaml(to_yaml(value), "x.yaml").root == value);
}

TEST_CASE("texts that YAML would take for something else are quoted") {
  const Json value = {{"a", "true"}, {"b", "8"},         {"c", "x: y"}, {"d", ""},   {"null", "~"},
                      {"e", "null"}, {"f", "block.0/1"}, {"g", "-"},    {"h", "[a]"}};
  const std::string text = to_yaml(value);
  CHECK(text.find("f: block.0/1\n") != std::string::npos);
  CHECK(parse_yaml(text, "x.yaml").root == value);
}
