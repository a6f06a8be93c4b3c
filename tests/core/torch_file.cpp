#include "core/torch_file.h"

#include "core/document.h"
#include "support/error_text.h"
#include "support/pickles.h"
#include "support/torch_zip.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::test;

namespace {

const std::filesystem::path kRecorded =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "torch_checkpoints";

std::string error_of(const std::string& bytes) {
  const std::string text = input_error([&] { TorchFile(bytes, "a.pth"); });
  CHECK(text.rfind("a.pth: ", 0) == 0);
  CHECK(text.size() < 800);
  return text;
}

/// What is wrong with a tensor "w" that is alone in its file.
std::string tensor_error(const PickledTensor& tensor) {
  return error_of(torch_file(pickled_dictionary({{"w", tensor.text()}})));
}

std::string recorded_error(const std::string& name) {
  const auto path = kRecorded / (name + ".pth");
  const std::string text = input_error([&] { TorchFile file(path); });
  CHECK(text.rfind(path.string() + ": ", 0) == 0);
  return text.substr(std::min(text.size(), path.string().size() + 2));
}

std::string names_of(const TorchFile& file) {
  std::string names;
  for (const TensorEntry& entry : file.tensors()) names += (names.empty() ? "" : " ") + entry.name;
  return names;
}

}  // namespace

TEST_CASE("the tensors of PyTorch's checkpoints are as PyTorch reads them") {
  const Document expected = load_json(kRecorded / "expected.json");
  CHECK(expected.root.size() == 14);
  for (const auto& [name, tensors] : expected.root.items()) {
    INFO(name);
    const TorchFile file(kRecorded / (name + ".pth"));
    REQUIRE(file.tensors().size() == tensors.size());
    std::size_t i = 0;
    for (const auto& [tensor, what] : tensors.items()) {
      INFO(tensor);
      const TensorEntry& entry = file.tensors()[i++];
      CHECK(entry.name == tensor);  // in the dictionary's order
      CHECK(file.find(tensor) == &entry);
      CHECK(dtype_name(entry.dtype) == what[0].get<std::string>());
      CHECK(entry.shape == what[1].get<std::vector<std::int64_t>>());
      CHECK(file.bytes(entry) == from_hex(what[2]));
      CHECK(file.layout(entry).strides == what[3].get<std::vector<std::int64_t>>());
      CHECK(file.layout(entry).offset == what[4].get<std::int64_t>());
      CHECK(file.layout(entry).contiguous == what[5].get<bool>());
    }
    CHECK(file.find("weights") == nullptr);
    CHECK(file.path() == kRecorded / (name + ".pth"));
  }
}

TEST_CASE("contiguous tensors are the file's pages, tied ones the same, and others are copies") {
  const TorchFile state(kRecorded / "state_dict.pth");
  const std::string_view embeddings = state.bytes(*state.find("embeddings.weight"));
  CHECK(embeddings.data() == state.bytes(*state.find("decoder.weight")).data());
  CHECK(state.layout(*state.find("embeddings.weight")).storage ==
        state.layout(*state.find("decoder.weight")).storage);
  CHECK(reinterpret_cast<std::uintptr_t>(embeddings.data()) % 64 == 0);
  TorchFile views(kRecorded / "views.pth");
  const auto* whole = views.bytes(*views.find("whole")).data();
  CHECK(views.bytes(*views.find("rows")).data() == whole + 6 * 4);
  const auto* transposed = views.bytes(*views.find("transposed")).data();
  CHECK((transposed < whole || transposed >= whole + 24 * 4));
  // Copies stay where they are when the file is moved.
  const TorchFile moved = std::move(views);
  CHECK(moved.bytes(*moved.find("transposed")).data() == transposed);
  CHECK(moved.bytes(*moved.find("whole")).data() == whole);
}

TEST_CASE("files of before PyTorch 1.6 and of TorchScript are refused, each with what to do") {
  CHECK(recorded_error("before_1_6") ==
        "it is in the format of PyTorch before 1.6; load it and save it again in Python: "
        "torch.save(torch.load(FILE, map_location=\"cpu\"), NEW_FILE)");
  CHECK(recorded_error("torchscript") ==
        "it is a program of TorchScript; save its tensors alone in Python: "
        "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)");
  CHECK(contains(error_of("hello"), "no zip file (no end of central directory), as PyTorch's"));
  CHECK(contains(error_of(torch_zip({{"version", "3\n"}})), "a zip file without data.pkl"));
  CHECK(contains(input_error([] { TorchFile file("/nowhere/a.pth"); }),
                 "/nowhere/a.pth: cannot be read"));
}

TEST_CASE("a global that is no part of a dictionary of tensors is refused by its name") {
  const std::string what =
      ", which is no part of a dictionary of tensors, and was not run; if you trust the file, save "
      "its tensors alone in Python: checkpoint = torch.load(FILE, map_location=\"cpu\", "
      "weights_only=False); torch.save(checkpoint[\"model\"], NEW_FILE)";
  for (const char* name : {"system", "system4"}) {
    const std::string text = recorded_error(name);
    CHECK(contains(text, "pickle, byte "));
    CHECK(contains(text, ": it holds \"posix.system\"" + what));
  }
  CHECK_FALSE(std::filesystem::exists("strata-was-here"));
  CHECK(contains(recorded_error("namespace"), "it holds \"argparse.Namespace\"" + what));
  CHECK(contains(recorded_error("module"), "it holds \"torch.nn.modules.linear.Linear\"" + what));
  CHECK(contains(recorded_error("uint16"), "it holds \"torch._utils._rebuild_tensor_v3\"" + what));
  CHECK(contains(recorded_error("complex"),
                 "it holds \"torch.ComplexFloatStorage\", a type of numbers that Strata does not "
                 "read; it reads \"FloatStorage\", "));
  // Names that look alike.
  for (const char* global : {"cos\nsystem\n", "ctorch._utils\n_rebuild_tensor\n", "ctorch\nload\n",
                             "cos\nFloatStorage\n", "cos\n_rebuild_tensor_v2\n",
                             "cos\n_rebuild_parameter\n", "cbuiltins\neval\n", "ctorch\n\n",
                             "ccollections\nordereddict\n", "cbuiltins\nset\x1b[31m\n"})
    CHECK(contains(error_of(torch_file(global)), what));
  // Opcodes that make objects, or have no place.
  for (const char* opcode : {"i", "o", "\x81", "\x92", "\x82", "\x83", "\x84", "P", "I", "V", "0"})
    CHECK(contains(error_of(torch_file(std::string("}") + opcode)),
                   " is none of those for dictionaries of tensors"));
  CHECK(contains(error_of(torch_file("ctorch\nFloatStorage\n}R")), "a call of what is no global"));
  CHECK(contains(error_of(torch_file("}}b")), "attributes of what is no OrderedDict"));
  CHECK(contains(error_of(torch_file("ccollections\nOrderedDict\n(]tR")),
                 "an OrderedDict with arguments"));
}

TEST_CASE("the dictionary of tensors is found, and what cannot be meant is refused") {
  const std::string tensor = PickledTensor().text();
  const auto file = [](const std::string& pickle) {
    return TorchFile(torch_file(pickle), "a.pth");
  };
  const std::string inner = pickled_dictionary({{"w", tensor}, {"epoch", "K\1"}, {"of", "]"}});
  CHECK(names_of(file(inner)) == "w");
  for (const char* holder : {"model", "state_dict", "model_state_dict", "module"})
    // ImageNet's example has the best accuracy as a tensor beside the model.
    CHECK(names_of(file(
              pickled_dictionary({{"best", tensor},
                                  {holder, inner},
                                  {"optimizer", pickled_dictionary({{"s", tensor}})}}))) == "w");
  CHECK(names_of(file(pickled_dictionary({{"model", pickled_dictionary({{"module", inner}})}}))) ==
        "w");
  CHECK(names_of(file(pickled_dictionary({{"model", "}"}, {"net", inner}}))) == "net.w");
  CHECK(names_of(file(pickled_dictionary({{"model", tensor}}))) == "model");

  CHECK(contains(recorded_error("two"),
                 "there are tensors under \"model\" and under \"state_dict\"; save one"));
  CHECK(contains(recorded_error("list"), "it holds no dictionary of tensors"));
  CHECK(recorded_error("no_tensor") == "there is no tensor in it; there are \"a\", \"b\"");
  CHECK(contains(recorded_error("listed"),
                 "a tensor under \"weights\" has no name of its own; save "
                 "the dictionary of the model's tensors alone; there are "
                 "\"weights\""));
  CHECK(contains(recorded_error("numbered"),
                 "a tensor under a key of \"more.\" that is no text has no name of its own"));
  CHECK(contains(error_of(torch_file("}" + pickled_text("s") + PickledTensor().storage() + "s")),
                 "a tensor under \"s\" has no name"));
  // Names that stand twice, also where a dot makes them one.
  CHECK(error_of(torch_file(pickled_dictionary({{"w", tensor}, {"w", tensor}}))) ==
        "a.pth: two tensors \"w\" in it");
  CHECK(error_of(torch_file(pickled_dictionary({{"a.w", tensor}, {"a", inner}}))) ==
        "a.pth: two tensors \"a.w\" in it");
}

TEST_CASE("a tensor that does not fit its storage is refused, whatever its numbers are") {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto with = [](const std::vector<std::int64_t>& shape,
                       const std::vector<std::int64_t>& strides, std::int64_t offset = 0) {
    PickledTensor tensor;
    tensor.shape = pickled_tuple(shape);
    tensor.strides = pickled_tuple(strides);
    tensor.offset = pickled_number(offset);
    return tensor;
  };
  CHECK(tensor_error(with({2, 3}, {3, 1}, 1)) ==
        "a.pth: tensor \"w\": shape (2, 3), strides (3, 1) and offset 1 leave its storage of 6 "
        "elements");
  for (const PickledTensor& tensor :
       {with({7}, {1}), with({2, 3}, {4, 1}), with({2, 3}, {3, 1}, kMost), with({}, {}, 6),
        with({2}, {kMost}), with({kMost, 2}, {1, 1}), with({kMost, kMost, kMost}, {0, 0, 0}),
        with({kMost, 0}, {1, 1}), with({3}, {kMost / 2 + 1}), with({2, 2}, {kMost, kMost}),
        with({0}, {1}, 7)})
    CHECK(contains(tensor_error(tensor), " leave its storage of 6 elements"));
  CHECK(
      contains(tensor_error(with({2, 3}, {-3, 1}, 3)), "the strides holds -3, expected at least"));
  CHECK(contains(tensor_error(with({-1}, {1})), "the shape holds -1, expected at least 0"));
  CHECK(contains(tensor_error(with({1}, {1}, -1)), "the offset holds -1, expected at least 0"));
  CHECK(contains(tensor_error(with({2, 3}, {1})), "has other dimensions than the strides (1)"));
  const std::vector<std::int64_t> many(65, 1);
  CHECK(contains(tensor_error(with(many, many)), "the shape has 65 numbers, expected at most 64"));
  // A GiB, and an exbibyte, of one number.
  CHECK(contains(tensor_error(with({1 << 28}, {0})),
                 "tensors that are not contiguous make more than 4 times the file's size; save "
                 "tensor.contiguous() instead"));
  CHECK(contains(tensor_error(with({std::int64_t{1} << 58}, {0})), "that are not contiguous make"));
  // The stride of a dimension of one element means nothing.
  const auto bytes =
      torch_file(pickled_dictionary({{"w", with({1, 2, 1, 2}, {kMost, 1, kMost, 3}, 1).text()}}));
  const TorchFile file(bytes, "a.pth");
  CHECK(file.bytes(file.tensors()[0]).size() == 16);
}

TEST_CASE("storages that are missing, short, or of another kind are refused") {
  const auto broken = [](auto change) {
    PickledTensor tensor;
    change(tensor);
    return tensor_error(tensor);
  };
  CHECK(broken([](auto& tensor) { tensor.key = pickled_text("1"); }) ==
        "a.pth: tensor \"w\": its storage \"1\" is not in the file");
  CHECK(contains(broken([](auto& tensor) { tensor.key = pickled_text("../data.pkl"); }),
                 "is not in the file"));
  for (const std::int64_t stored : {5, 7, 0})
    CHECK(contains(broken([&](auto& tensor) { tensor.stored = pickled_number(stored); }),
                   "its storage \"0\" has 24 bytes, but " + std::to_string(stored) +
                       " elements of F32 are expected"));
  CHECK(contains(broken([](auto& tensor) { tensor.stored = pickled_number(-1); }),
                 "the storage's size holds -1"));
  CHECK(
      contains(broken([](auto& tensor) { tensor.stored = pickled_number(std::int64_t{1} << 62); }),
               "elements of F32 are expected"));
  CHECK(contains(broken([](auto& tensor) { tensor.type = "ctorch\nLongStorage\n"; }),
                 "has 24 bytes, but 6 elements of I64"));
  for (const char* type : {"K\1", "ctorch._utils\n_rebuild_tensor_v2\n", "N"})
    CHECK(
        contains(broken([&](auto& tensor) { tensor.type = type; }), "damaged: it has no storage"));
  CHECK(contains(broken([](auto& tensor) { tensor.shape = "K\6"; }), "the shape is no tuple"));
  CHECK(
      contains(broken([](auto& tensor) { tensor.offset = "N"; }), "the offset is no whole number"));
  CHECK(contains(broken([](auto& tensor) { tensor.offset = "\x88"; }), "is no whole number"));
  CHECK(contains(broken([](auto& tensor) { tensor.hooks = "}(K\1K\1u"; }), "it has hooks"));
  CHECK(contains(broken([](auto& tensor) { tensor.end = "NN"; }), "6 or 7 arguments"));
  CHECK(contains(recorded_error("negated"),
                 "tensor \"x\": it is a negated or conjugate view; save tensor.clone() instead"));
  // Calls of other things, and parameters of parameters.
  const auto called = [](const std::string& call) {
    return error_of(torch_file(pickled_dictionary({{"w", call}})));
  };
  CHECK(contains(called("ctorch\nFloatStorage\n(tR"), "it is made by \"FloatStorage\", expected"));
  CHECK(contains(called("ctorch._utils\n_rebuild_tensor_v2\n(tR"), "6 or 7 arguments"));
  const std::string parameter = "ctorch._utils\n_rebuild_parameter\n";
  CHECK(contains(called(parameter + "(N\x88}tR"), "damaged parameter"));
  CHECK(contains(
      called(parameter + "(" + parameter + "(" + PickledTensor().text() + "\x88}tR\x88}tR"),
      "it is made by \"_rebuild_parameter\""));
}

TEST_CASE("what is wrong with the zip is refused") {
  const std::string pickle = "\x80\x02" + pickled_dictionary({{"w", PickledTensor().text()}}) + ".";
  const std::string data(24, '\1');
  CHECK(names_of(TorchFile(torch_zip({{"data.pkl", pickle}, {"data/0", data}}, false, true),
                           "a.pth")) == "w");
  CHECK(contains(error_of(torch_zip({{"data.pkl", pickle}, {"data/0", data}}, true)),
                 "\"data.pkl\" in it is compressed, which torch.save never does"));
  CHECK(
      contains(error_of(torch_zip({{"data.pkl", pickle}, {"data/0", data}, {"byteorder", "big"}})),
               "its numbers are \"big\"-endian, expected \"little\""));
  CHECK(contains(error_of(torch_zip({{"data.pkl", pickle}, {"data/0", data}, {"data/0", data}})),
                 "two entries \"x/data/0\" in it"));
  CHECK(contains(error_of(npz({{"x/data.pkl", pickle}, {"y/data.pkl", pickle}}, false)),
                 "two checkpoints in it"));
  CHECK(contains(error_of(npz({{"data.pkl", pickle}, {"data/0", data}}, false)),
                 "a zip file without data.pkl"));
  const std::string whole = slurp(kRecorded / "albef.pth");
  for (std::size_t size = 0; size < whole.size(); size += 7)
    CHECK_THROWS_AS(TorchFile(whole.substr(0, size), "a.pth"), InputError);
  // Whatever byte is wrong, the answer is an error, or tensors within the file.
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x15);
    try {
      const TorchFile file(changed, "a.pth");
      for (const TensorEntry& entry : file.tensors())
        REQUIRE(file.bytes(entry).size() == entry.byte_count());
    } catch (const InputError&) {
    }
  }
}

TEST_CASE("pickles that refer to themselves, or make much of few bytes, are refused") {
  const std::string tensor = PickledTensor().text();
  const std::string text = pickled_text("model");
  CHECK(contains(error_of(torch_file("}q\1" + text + "h\1s" + pickled_text("w") + tensor + "s")),
                 "dictionaries are nested in more than 64 levels"));
  CHECK(contains(
      error_of(torch_file("}q\1" + pickled_text("a") + "h\1s" + pickled_text("w") + tensor + "s")),
      "dictionaries are nested in more than 64 levels"));
  // Without a tensor there is nothing to find in a list that holds itself.
  CHECK(names_of(TorchFile(
            torch_file("}(" + pickled_text("w") + tensor + pickled_text("l") + "]q\1h\1au"),
            "a.pth")) == "w");
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "}" + pickled_text("a");
  CHECK(contains(error_of(torch_file(deep + "N" + std::string(200'000, 's'))),
                 "dictionaries are nested in more than 64 levels"));
  for (const std::string& many : {std::string(3'000'000, '('), "}" + std::string(3'000'000, ')'),
                                  "N" + std::string(3'000'000, '\x94')})
    CHECK(contains(error_of(torch_file(many)), "more than 1000000 values"));
  // A list of a million, and as many sets of it.
  std::string sets = "](" + std::string(900'000, 'N') + "e\x85q\1";
  for (int i = 0; i < 5; ++i) sets += std::string("cbuiltins\nset\nh\1R");
  CHECK(contains(error_of(torch_file("(" + sets + "t")), "more than 1000000 values"));

  // Each dictionary has the one before twice, and the first has a tensor or nothing.
  const auto doubled = [](const std::string& first) {
    std::string bytes = "}(" + pickled_text("l") + "](" + first + std::string("q\0", 2);
    for (char i = 0; i < 40; ++i) {
      const std::string before = std::string("h") + i;
      bytes += pickled_dictionary({{"a", before}, {"b", before}}) + "q" + static_cast<char>(i + 1);
    }
    return torch_file(bytes + "e" + pickled_text("model") + "h\x28u");
  };
  CHECK(contains(error_of(doubled("}")), "16 times as long"));
  CHECK(contains(error_of(doubled(pickled_dictionary({{"w", tensor}}))),
                 "the names of its tensors are more than 16 times as long as all that describes"));
  // A name of a megabyte in itself.
  std::string names = "}" + pickled_text(std::string(1'000'000, 'x')) + "q\1";
  for (int i = 0; i < 20; ++i) names += "}h\1";
  names += tensor + std::string(21, 's');
  CHECK(contains(error_of(torch_file(names)), "16 times as long"));
}

TEST_CASE("views of one storage are copied to four times the file's size, and no further") {
  // A square of 512 x 512 floats, n times transposed.
  const auto views = [](int count) {
    PickledTensor tensor;
    tensor.stored = pickled_number(512 * 512);
    tensor.shape = pickled_tuple({512, 512});
    tensor.strides = pickled_tuple({1, 512});
    std::vector<std::pair<std::string, std::string>> all;
    for (int i = 0; i < count; ++i) all.emplace_back(std::to_string(i), tensor.text());
    return torch_zip({{"data.pkl", "\x80\x02" + pickled_dictionary(all) + "."},
                      {"data/0", std::string(std::size_t{512} * 512 * 4, '\1')}});
  };
  CHECK(TorchFile(views(5), "a.pth").tensors().size() == 5);
  CHECK(
      contains(error_of(views(6)), "tensor \"5\": tensors that are not contiguous make more than"));
}

TEST_CASE("a storage of several tensors is known as shared, and no other") {
  const TorchFile state(kRecorded / "state_dict.pth");
  for (const TensorEntry& entry : state.tensors())
    CHECK(state.layout(entry).shared ==
          (entry.name == "embeddings.weight" || entry.name == "decoder.weight"));
}
