#include "peft/expression.h"

#include "catch.h"
#include "support/error_text.h"

using namespace strata;
using namespace strata::peft;
using Catch::Matchers::Contains;

namespace {

const Document kDocument = {"adapter_config.json", Json{{"target_modules", "x"}}, {}, {}};

Expression expression(const std::string& python) {
  return {ObjectReader(kDocument), "target_modules", python};
}

bool matches(const std::string& python, const std::string& name) {
  return expression(python).matches(name);
}

std::string refusal(const std::string& python) {
  return test::input_error([&] { expression(python); });
}

}  // namespace

TEST_CASE("an expression matches whole names, as Python's fullmatch does") {
  const std::string name = "model.layers.1.self_attn.q_proj";
  CHECK(matches(R"(.*layers\.1\..*q_proj)", name));
  CHECK_FALSE(matches("q_proj", name));
  CHECK_FALSE(matches("model", name));
  CHECK_FALSE(matches("model.*q", name));
  CHECK(matches(R"(.*\.(q|v)_proj)", name));
  CHECK(matches("a|ab", "ab"));  // whichever branch fits the whole
  CHECK(matches(R"((?!.*vision).*q_proj)", name));
  CHECK_FALSE(matches(R"((?!.*self).*q_proj)", name));
  CHECK(matches(R"(model\.layers\.[0-1]\.self_attn\.[kqv]_proj)", name));
  CHECK_FALSE(matches("MODEL.*", name));
  CHECK(matches(R"((?i)MODEL.*)", name));
}

TEST_CASE("what Python writes otherwise than ICU is read as Python has it") {
  CHECK(matches(R"((?P<part_of>[a-z]+)\.(?P=part_of))", "encoder.encoder"));
  CHECK_FALSE(matches(R"((?P<part_of>[a-z]+)\.(?P=part_of))", "encoder.decoder"));
  CHECK(matches(R"((?P<a>x)(?P<b>y)(?P=b)(?P=a))", "xyyx"));
  // In ICU's sets these would be other sets and their intersection.
  CHECK(matches("[[a]+", "a[a"));
  CHECK(matches("[a&&b]+", "a&b"));
  CHECK(matches("[]a]+", "a]"));
  CHECK(matches("[^]a]+", "bc"));
  CHECK_FALSE(matches("[^]a]+", "b]"));
  CHECK(matches(R"([\]]\[)", "]["));
  CHECK(matches("[(?P<a>]+", "(?P<a>"));
}

TEST_CASE("an expression of a name's end is looked for behind a point, as PEFT's patterns are") {
  const std::string name = "model.decoder.layers.11.fc1";
  const auto ends = [&](const std::string& python) { return expression(python).matches_end(name); };
  CHECK(ends("fc1"));
  CHECK(ends(R"(layers\.1[01]\.fc1)"));
  CHECK(ends("fc.|q_proj"));
  CHECK(ends("^model.*fc1"));
  CHECK_FALSE(ends("c1"));
  CHECK_FALSE(ends("^decoder.*"));
  CHECK_FALSE(ends("layers"));
}

TEST_CASE("hostile expressions, and those that are none, are refused in one line") {
  CHECK_THAT(refusal("q_proj("), Contains("adapter_config.json: target_modules: \"q_proj(\" is no "
                                          "regular expression that is known"));
  CHECK_THAT(refusal("a)(b"), Contains("is no regular expression"));
  CHECK_THAT(refusal("(?P=none)"), Contains("is no regular expression"));
  CHECK_THAT(refusal("(a)(?(1)b|c)"), Contains("is no regular expression"));
  CHECK_THAT(refusal("(?P<open"), Contains("is no regular expression"));
  CHECK_THAT(refusal("["), Contains("is no regular expression"));
  CHECK_THAT(refusal(std::string(10'001, 'a')), Contains("10001 bytes; at most 10000 are read"));
  const Expression slow = expression("(a|a|b?a)*c");
  CHECK_THAT(test::input_error([&] { slow.matches(std::string(200, 'a')); }),
             Contains("target_modules: \"(a|a|b?a)*c\" takes more time or memory than is allowed"));
}

TEST_CASE("names of layers are no expressions") {
  CHECK_FALSE(is_expression("model.layers.0.self_attn.q_proj"));
  CHECK(is_expression(".*q_proj"));
  CHECK(is_expression("layers.[01]"));
}
