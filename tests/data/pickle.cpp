#include "data/pickle.h"

#include "support/error_text.h"
#include "support/pickles.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

std::string error_of(const std::string& bytes) {
  const std::string text = input_error([&] { read_pickle(bytes, "a.pkl"); });
  CHECK(text.rfind("a.pkl: pickle", 0) == 0);
  return text;
}

}  // namespace

TEST_CASE("CPython's pickles of all binary protocols read the same") {
  for (const auto& [protocol, hex] : pickles()) {
    INFO("protocol " << protocol);
    const Json value = read_pickle(from_hex(hex), "a.pkl");
    REQUIRE(value.size() == 3);
    CHECK(value[0]["image"] == "train_0422");
    CHECK(value[0]["answer"] == "in the canals of hering");
    CHECK(value[1]["answer"] == "yes");
    // Texts that appear twice are written once and remembered.
    CHECK(value[2]["question"] == value[0]["question"]);
    CHECK(value[2]["question"] == "Where are liver stem cells (oval cells) located?");
  }
}

TEST_CASE("numbers, truth values and nesting") {
  const std::string bytes("\x80\x02](K\x07M\x02\x01J\xff\xff\xff\xff\x88\x89N]e.", 20);
  CHECK(read_pickle(bytes, "a.pkl").dump() == "[7,258,-1,true,false,null,[]]");
}

TEST_CASE("what could run code is refused, and damage is an error") {
  // os.system("true"), as pickle would call it.
  CHECK(contains(error_of("\x80\x02"
                          "cos\nsystem\nX\x04\x01"),
                 "byte 2: the opcode 0x63 is none of those for lists"));
  CHECK(contains(error_of(""), "byte 0: the file ends too early"));
  CHECK(contains(error_of("]"), "the file ends too early"));
  CHECK(contains(error_of("."), "nothing on the stack"));
  CHECK(contains(error_of("]]."), "more than one object"));
  CHECK(contains(error_of("]e."), "no mark on the stack"));
  CHECK(contains(error_of("K\x01K\x02"
                          "a."),
                 "expected a list on the stack"));
  CHECK(contains(error_of("}K\x01K\x02s."), "a dictionary's key is no text"));
  CHECK(contains(error_of("}(K\x01u."), "a dictionary with a key and no value"));
  CHECK(contains(error_of("h\x07."), "no object was remembered as 7"));
  CHECK(contains(error_of("X\xff\xff\xff\xff"
                          "abc"),
                 "the file ends too early"));
  CHECK(
      contains(error_of(std::string("X\x01\0\0\0\xe9.", 7)), "byte 0: a text is not valid UTF-8"));
  // A list that holds itself, and one that doubles itself at every level.
  CHECK(contains(error_of(std::string("]q\0h\0a.", 7)), "more than 64 levels"));
  std::string doubling = std::string("](]q\0", 5);
  for (char i = 0; i < 40; ++i)
    doubling += std::string("](h") + i + "h" + i + "eq" + static_cast<char>(i + 1);
  CHECK(contains(error_of(doubling + "e."), "more than 1000000 values"));
  // As many values and memo entries as bytes, of which none is in the result.
  const std::string many(2'100'000, 'N');
  CHECK(contains(error_of("(" + many + "].."), "more than 1000000 values"));
  CHECK(contains(error_of("N" + std::string(2'100'000, '\x94') + "."), "more than 1000000 values"));
  for (const auto& [protocol, hex] : pickles()) {
    const std::string bytes = from_hex(hex);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK_THROWS_AS(read_pickle(bytes.substr(0, size), "a.pkl"), InputError);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 0x15);
      try {
        read_pickle(changed, "a.pkl");
      } catch (const InputError&) {
      }
    }
  }
}

TEST_CASE("a text that is shared thousands of times is refused before it is copied") {
  // pickle.dumps(["x" * 10**6] * count, 2), and the same as the key of dictionaries.
  const auto shared = [](int count, const std::string& with) {
    std::string bytes = "](X" + std::string("\x40\x42\x0f\0", 4) + std::string(1'000'000, 'x') +
                        std::string("q\0", 2);
    for (int i = 0; i < count; ++i) bytes += with;
    return bytes + "e.";
  };
  const std::string element("h\0", 2), dictionary("}h\0Ns", 5);
  CHECK(read_pickle(shared(3, element), "a.pkl").size() == 4);
  CHECK(read_pickle(shared(3, dictionary), "a.pkl").size() == 4);
  for (const std::string& with : {element, dictionary})
    CHECK(error_of(shared(20'000, with)) ==
          "a.pkl: pickle: its shared texts are more than 16 times its size");
  // Small files may grow as they like, up to a MiB.
  std::string small =
      "](X" + std::string("\x64\0\0\0", 4) + std::string(100, 'y') + std::string("q\0", 2);
  for (int i = 0; i < 5000; ++i) small += element;
  CHECK(read_pickle(small + "e.", "a.pkl").size() == 5001);
}

TEST_CASE("a dictionary's key that stands twice has its last value") {
  const std::string bytes("}(X\1\0\0\0aK\1X\1\0\0\0bK\2X\1\0\0\0aK\3u.", 28);
  CHECK(read_pickle(bytes, "a.pkl").dump() == "{\"a\":3,\"b\":2}");
}
