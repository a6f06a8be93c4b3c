#include "core/pickle_machine.h"

#include "support/error_text.h"

using namespace strata;
using namespace strata::test;

namespace {

const PickleRules kObjects = {
    .objects = true, .of = "tests", .refusal = [](std::string_view module, std::string_view) {
      return module == "allowed" ? "" : "which is refused";
    }};

template <typename Kind>
Kind only(const std::string& bytes) {
  const Pickle pickle(bytes, "a.pkl", kObjects);
  REQUIRE(pickle.root().as<Kind>());
  return *pickle.root().as<Kind>();
}

std::string error_of(const std::string& bytes, const PickleRules& rules = kObjects) {
  return input_error([&] { Pickle(bytes, "a.pkl", rules); });
}

}  // namespace

TEST_CASE("numbers of every kind are as pickletools says") {
  CHECK(only<std::int64_t>("K\xff.") == 255);
  CHECK(only<std::int64_t>("M\xff\xff.") == 65535);
  CHECK(only<std::int64_t>("J\xfe\xff\xff\xff.") == -2);
  CHECK(only<std::int64_t>(std::string("\x8a\0.", 3)) == 0);
  CHECK(only<std::int64_t>("\x8a\1\xff.") == -1);
  CHECK(only<std::int64_t>(std::string("\x8a\2\xff\0.", 5)) == 255);
  // -2**40 and 2**63 - 1, as pickle.dumps writes them.
  CHECK(only<std::int64_t>(std::string("\x8a\6\0\0\0\0\0\xff.", 9)) == -(std::int64_t{1} << 40));
  CHECK(only<std::int64_t>("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.") ==
        std::numeric_limits<std::int64_t>::max());
  CHECK(only<std::int64_t>(std::string("\x8b\1\0\0\0\7.", 7)) == 7);
  CHECK(only<PickleValue::Bytes>("\x8a\x09" + std::string(9, '\1') + ".").bytes.size() == 9);
  CHECK(only<double>(std::string("G\xbf\xf8\0\0\0\0\0\0.", 10)) == -1.5);
  CHECK(only<PickleValue::Bytes>("C\2ab.").bytes.size() == 2);
}

TEST_CASE("tuples, sets and OrderedDicts are what they hold, of any protocol") {
  CHECK(only<PickleValue::Tuple>(").").values.empty());
  for (const char* three : {"K\1K\2K\3\x87.", "(K\1K\2K\3t."}) {
    const Pickle pickle(three, "a.pkl", kObjects);
    const auto* tuple = pickle.root().as<PickleValue::Tuple>();
    REQUIRE(tuple);
    REQUIRE(tuple->values.size() == 3);
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(*tuple->values[i]->as<std::int64_t>() == static_cast<std::int64_t>(i + 1));
  }
  for (const char* set : {"\x8f(K\1K\2\x90.", "(K\1K\2\x91.", "c__builtin__\nset\n](K\1K\2e\x85R."})
    CHECK(only<PickleValue::Set>(set).values.size() == 2);
  const auto ordered = only<PickleValue::Dictionary>("ccollections\nOrderedDict\n)R(K\1Nu}b.");
  CHECK(ordered.ordered);
  CHECK(ordered.entries.size() == 1);
  CHECK_FALSE(only<PickleValue::Dictionary>("}.").ordered);
}

TEST_CASE("a call is its name and arguments, and nothing is called") {
  for (const char* bytes : {"callowed\nname\nK\1\x85R.", "\x8c\7allowed\x8c\4name\x93K\1\x85R."}) {
    const Pickle pickle(bytes, "a.pkl", kObjects);
    const auto* call = pickle.root().as<PickleValue::Call>();
    REQUIRE(call);
    CHECK(call->callee->module == "allowed");
    CHECK(call->callee->name == "name");
    CHECK(call->arguments->values.size() == 1);
  }
  const Pickle persistent("K\7Q.", "a.pkl", kObjects);
  REQUIRE(persistent.root().as<PickleValue::Persistent>());
  CHECK(*persistent.root().as<PickleValue::Persistent>()->id->as<std::int64_t>() == 7);
}

TEST_CASE("what the rules refuse, and damage, is an error with its place") {
  CHECK(error_of("Ncos\nsystem\n)R.") ==
        "a.pkl: pickle, byte 1: it holds \"os.system\", which is refused");
  CHECK(error_of("\x8c\2os\x8c\6system\x93)R.") ==
        "a.pkl: pickle, byte 12: it holds \"os.system\", which is refused");
  CHECK(contains(error_of("cos\nsy\xff\n"), "a text is not valid UTF-8"));
  CHECK(contains(error_of("cos"), "the file ends too early"));
  CHECK(contains(error_of("K\1K\1\x93."), "a global whose name is no text"));
  CHECK(contains(error_of("o."), "byte 0: the opcode 0x6f is none of those for tests"));
  CHECK(contains(error_of("K\1)R."), "a call of what is no global"));
  CHECK(contains(error_of("callowed\nname\n]R."), "or without a tuple"));
  CHECK(contains(error_of("c__builtin__\nset\n)R."), "a set of what is no list"));
  CHECK(contains(error_of("K\1\x86."), "nothing on the stack"));
  CHECK(contains(error_of("K\1(K\2\x86t."), "nothing on the stack"));
  CHECK(contains(error_of("]K\1(K\2ae."), "nothing on the stack"));
  CHECK(contains(error_of("K\1(q\1t."), "nothing on the stack"));
  CHECK(contains(error_of("}]Ns."), "a dictionary's key is none of text, number and tuple"));
  CHECK(contains(error_of("}b."), "nothing on the stack"));
  CHECK(contains(error_of("\x8b\xff\xff\xff\xff."), "the file ends too early"));
  CHECK(contains(error_of("C\x05"
                          "ab."),
                 "the file ends too early"));
  // Without objects none of their opcodes is there, and so no global.
  const PickleRules plain = {.of = "lists"};
  for (const char opcode : std::string("GctRbQ)CB\x85\x86\x87\x8a\x8b\x8e\x8f\x90\x91\x93\x96"))
    CHECK(contains(error_of(std::string("]](") + opcode + "ab\nc\n", plain),
                   "byte 3: the opcode 0x"));
}
