#include "strata/core/unit_choice.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;
using Catch::Contains;

namespace {

const std::vector<std::string> kNames = {"embeddings", "prompt",   "block.0",
                                         "block.1",    "block.10", "head"};
const std::vector<Role> kRoles = {Role::kEmbeddings, Role::kPrompt, Role::kBody,
                                  Role::kBody,       Role::kBody,   Role::kHead};
using Places = std::vector<std::size_t>;

UnitWishes wishes() {
  UnitWishes wishes;
  wishes.where_competing = "--unit";
  wishes.where_always = "always";
  wishes.where_personal = "personal";
  return wishes;
}

}  // namespace

TEST_CASE("patterns are the shell's; names are taken as they are") {
  const auto match = [](const std::vector<std::string>& patterns) {
    return matching_units(patterns, kNames, "--unit", "the model");
  };
  CHECK(match({"block.*"}) == Places{2, 3, 4});
  CHECK(match({"head", "block.[1-9]*", "block.1"}) == Places{3, 4, 5});
  CHECK(match({"*"}).size() == 6);
  CHECK(match({"????"}) == Places{5});
  CHECK(matching_units({"a[0]"}, {"a0", "a[0]"}, "", "") == Places{1});
  CHECK_THROWS_WITH(
      match({"blok.*"}),
      Contains("--unit: the model has no unit \"blok.*\" (did you mean \"block.0\"?); "
               "there are \"embeddings\", \"prompt\""));
  CHECK_THROWS_WITH(match({"block.*", "block.*"}), Contains("\"block.*\" stands twice"));
  CHECK_THROWS_WITH(match({}), Contains("--unit: the list is empty"));
}

TEST_CASE("by default blocks and prompt compete and the head is always trained") {
  const UnitChoice choice = choose_units(kNames, kRoles, wishes());
  CHECK(choice.competing == Places{1, 2, 3, 4});
  CHECK(choice.always == Places{5});
}

TEST_CASE("units whose roles are not known all compete") {
  const UnitChoice choice = choose_units(kNames, {}, wishes());
  CHECK(choice.competing.size() == 6);
  CHECK(choice.always.empty());
  UnitWishes asked = wishes();
  asked.always = {{"head"}};
  CHECK(choose_units(kNames, {}, asked).competing == Places{0, 1, 2, 3, 4});
}

TEST_CASE("who asks for a unit gets it") {
  UnitWishes asked = wishes();
  asked.competing = {{"block.1", "head"}};
  UnitChoice choice = choose_units(kNames, kRoles, asked);
  CHECK(choice.competing == Places{3, 5});
  CHECK(choice.always.empty());
  asked.competing = {{"block.1"}};
  CHECK(choose_units(kNames, kRoles, asked).always == Places{5});
  asked.always = std::vector<std::string>{};
  CHECK(choose_units(kNames, kRoles, asked).always.empty());
  asked = wishes();
  asked.always = {{"head", "prompt"}};
  choice = choose_units(kNames, kRoles, asked);
  CHECK(choice.competing == Places{2, 3, 4});
  CHECK(choice.always == Places{1, 5});
  asked.always = {{"head", "block.1"}};
  CHECK_THROWS_WITH(choose_units(kNames, kRoles, asked),
                    "always: \"block.1\" is selectable, too; a unit is either planned or always "
                    "trained");
}

TEST_CASE("personal units are always trained, beside those that are anyway") {
  UnitWishes asked = wishes();
  asked.personal = {{"embeddings"}};
  UnitChoice choice = choose_units(kNames, kRoles, asked);
  CHECK(choice.personal == Places{0});
  CHECK(choice.always == Places{0, 5});
  CHECK(choice.competing == Places{1, 2, 3, 4});
  asked.personal = {{"head", "prompt"}};
  for (const auto& always : {std::vector<std::string>{}, {"head"}, {"prompt", "head"}}) {
    asked.always = always;
    choice = choose_units(kNames, kRoles, asked);
    CHECK(choice.personal == Places{1, 5});
    CHECK(choice.always == Places{1, 5});
    CHECK(choice.competing == Places{2, 3, 4});
  }
  asked.personal = {{"block.[01]"}};
  CHECK_THROWS_WITH(choose_units(kNames, kRoles, asked),
                    "personal: \"block.0\" is selectable, too; a personal unit is trained by every "
                    "client in every round");
  asked.competing = {{"block.10"}};
  CHECK(choose_units(kNames, kRoles, asked).always == Places{1, 2, 3, 5});
  asked.personal = {{"heda"}};
  CHECK_THROWS_WITH(choose_units(kNames, kRoles, asked),
                    Contains("personal: the model has no unit \"heda\" (did you mean \"head\"?)"));
}

TEST_CASE("roles have names") {
  CHECK(role_name(Role::kEmbeddings) == "embeddings");
  CHECK(parse_role("head") == Role::kHead);
  CHECK_FALSE(parse_role("heads").has_value());
}
