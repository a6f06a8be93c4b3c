#include "core/choices.h"

#include "catch.h"

using namespace strata;

namespace {

enum class Fruit { apple, pear, quince };
const Choices<Fruit> kFruits({{Fruit::pear, "pear"}, {Fruit::apple, "apple"}});

}  // namespace

TEST_CASE("values and their names are found in one table, whose order the names keep") {
  CHECK(kFruits.names() == std::vector<std::string>{"pear", "apple"});
  CHECK(kFruits.name(Fruit::apple) == "apple");
  CHECK(kFruits.value("pear") == Fruit::pear);
}

TEST_CASE("a value or a name that the table lacks is an error of the program") {
  CHECK_THROWS_AS(kFruits.name(Fruit::quince), std::logic_error);
  CHECK_THROWS_AS(kFruits.value("quince"), std::logic_error);
}
