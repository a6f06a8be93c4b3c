#include "fedrunner/messages.h"

#include <cstring>
#include <functional>
#include <limits>
#include <set>

#include "catch.h"
#include "core/document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "strata/core/sha256.h"
#include "support/error_text.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using strata::test::input_error_if_any;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::uint64_t bits(double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

double number(std::uint64_t bits) {
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

bool same_bits(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0;
}

bool same_bits(const ModelState& a, const ModelState& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && same_bits(x.second, y.second);
  });
}

std::vector<Unit> units() {
  return {{.name = "block.0", .parameters = {"a", "b"}},
          {.name = "block.1", .parameters = {"c"}},
          {.name = "head", .role = Role::kHead, .parameters = {"d"}}};
}

ModelState state() {
  auto a = torch::tensor({1.0f, -0.0f, 1e-45f});
  a[0] = std::numeric_limits<float>::quiet_NaN();
  return {{"a", a},
          {"b", torch::full({2, 2}, 0.1f)},
          {"c", torch::full({1}, std::int64_t{1} << 62, torch::kInt64)},
          {"d", torch::full({}, 3.0f)}};
}

Order train_order() {
  TrainWork work;
  work.local.epochs = 3;
  work.local.training.batch_size = 2;
  work.local.training.learning_rate = 0.1 / 3;
  work.local.training.proximal = 5e-324;
  work.seed = std::numeric_limits<std::uint64_t>::max();
  work.share = 0.29;
  return {"run", 7, "ct", {"block.0", "head"}, "base", std::make_shared<const ModelState>(state()),
          work};
}

ClientUpdate update() {
  const ModelState all = state();
  return {.client = "ct",
          .samples = 5,
          .steps = 2,
          .units = {"block.0", "head"},
          .weights = {{"a", all.at("a")}, {"b", all.at("b")}, {"d", all.at("d")}},
          .failure = "",
          .train_loss = number(0x7ff8000000000123),  // a NaN of its own
          .seconds = 0.1 + 0.2,
          .peak_memory = (std::int64_t{1} << 53) + 1};
}

Reply reply_to(const Order& order, Result result) {
  return {order.id(), order.client, std::move(result)};
}

EvaluateResult evaluation_with_slice() {
  tasks::ShownSlice slice{"a.nii.gz", 7, data::LabelPlanes(3, 2, 4)};
  for (std::size_t i = 0; i < slice.planes.values.size(); ++i)
    slice.planes.values[i] = static_cast<std::uint8_t>(10 * i);
  return {{{"loss", {1, 2}}}, {}, {}, slice};
}

/// The message with another text and other tensors.
struct Changed {
  Json text;
  std::vector<TensorView> tensors;
  std::map<std::string, std::string> further = {};
};
std::string changed(const std::string& bytes, const std::function<void(Changed&)>& change) {
  const SafetensorsFile file(bytes, "message");
  Changed parts{Json::parse(file.metadata().at("strata")), {}};
  for (const auto& entry : file.tensors())
    parts.tensors.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
  change(parts);
  auto metadata = parts.further;
  if (!parts.text.is_null()) metadata["strata"] = parts.text.dump();
  return safetensors_bytes(parts.tensors, metadata);
}

}  // namespace

TEST_CASE("an order is the same after its bytes, to the last bit") {
  const Order order = train_order();
  const std::string bytes = encode(order);
  const Order again = decode_order(bytes);
  CHECK(encode(again) == bytes);
  CHECK(again.id() == order.id());
  CHECK(again.run == "run");
  CHECK(again.round == 7);
  CHECK(again.client == "ct");
  CHECK(again.units == order.units);
  CHECK(again.base == "base");
  CHECK(same_bits(*again.state, *order.state));
  CHECK(again.ranks.empty());
  const auto& work = std::get<TrainWork>(again.work);
  const auto& sent = std::get<TrainWork>(order.work);
  CHECK(work.seed == sent.seed);
  CHECK(bits(work.share) == bits(0.29));
  CHECK(work.local.epochs == 3);
  CHECK(work.local.steps == 0);
  CHECK(work.local.training.batch_size == 2);
  CHECK(bits(work.local.training.learning_rate) == bits(0.1 / 3));
  CHECK(bits(work.local.training.proximal) == bits(5e-324));

  CHECK(work.frozen.empty());
  Order frozen = order;
  std::get<TrainWork>(frozen.work).frozen = {"b", "a"};
  CHECK(std::get<TrainWork>(decode_order(encode(frozen)).work).frozen ==
        std::vector<std::string>{"b", "a"});

  Order score = order;
  score.work = ScoreWork{"lntk", 4, 12345678901234567890u};
  const auto asked = std::get<ScoreWork>(decode_order(encode(score)).work);
  CHECK(asked.metric == "lntk");
  CHECK(asked.samples == 4);
  CHECK(asked.seed == 12345678901234567890u);
  CHECK(asked.answers.empty());
  CHECK(asked.top_answers == 8);
  score.work = ScoreWork{"lntk", 4, 1, {"yes", "no, thanks"}, 3};
  const auto named = std::get<ScoreWork>(decode_order(encode(score)).work);
  CHECK(named.answers == std::vector<std::string>{"yes", "no, thanks"});
  CHECK(named.top_answers == 3);
  CHECK(named.random_outputs == 0);
  CHECK(encode(score).find("random_outputs") == std::string::npos);
  score.work = ScoreWork{"lntk", 4, 1, {}, 8, 5};
  CHECK(std::get<ScoreWork>(decode_order(encode(score)).work).random_outputs == 5);
  Order evaluate = order;
  evaluate.work = EvaluateWork();
  CHECK(decode_order(encode(evaluate)).phase() == Phase::kEvaluate);
  Order hello = order;
  hello.work = HelloWork();
  hello.state = nullptr;
  const Order greeted = decode_order(encode(hello));
  CHECK(greeted.phase() == Phase::kHello);
  CHECK(greeted.state == nullptr);
}

TEST_CASE("an order says the ranks of its client by unit, and nothing where there are none") {
  Order order = train_order();
  const std::string plain = encode(order);
  order.ranks = {{"block.0", 0}, {"head", 3}};
  const std::string bytes = encode(order);
  CHECK(decode_order(bytes).ranks == order.ranks);
  CHECK(decode_order(bytes).id() == order.id());
  CHECK(plain.find("ranks") == std::string::npos);
  for (const Json& wrong : {Json(-1), Json(1.5), Json("2")}) {
    const auto spoiled =
        changed(bytes, [&](Changed& parts) { parts.text["ranks"]["head"] = wrong; });
    CHECK_THAT(input_error_if_any([&] { decode_order(spoiled); }), Contains("ranks.head: "));
  }
}

TEST_CASE("an order carries the experiment that its run is the SHA-256 of, and the threads") {
  Order order = train_order();
  const std::string plain = encode(order);
  CHECK(decode_order(plain).experiment == nullptr);
  CHECK(decode_order(plain).threads == 0);
  order.experiment = std::make_shared<const std::string>("version: 1\nname: ü\n");
  order.run = sha256_hex(*order.experiment);
  order.threads = 3;
  const std::string bytes = encode(order);
  const Order again = decode_order(bytes);
  REQUIRE(again.experiment != nullptr);
  CHECK(*again.experiment == *order.experiment);
  CHECK(again.threads == 3);
  CHECK(again.id() == order.id());
  const auto other =
      changed(bytes, [](Changed& parts) { parts.text["experiment"] = "version: 2\n"; });
  CHECK_THAT(input_error_if_any([&] { decode_order(other); }),
             Contains("experiment: is not the one that `run` is the SHA-256 of"));
  for (const Json& wrong : {Json(0), Json(-1), Json("2")}) {
    const auto spoiled = changed(bytes, [&](Changed& parts) { parts.text["threads"] = wrong; });
    CHECK_THAT(input_error_if_any([&] { decode_order(spoiled); }), Contains("threads: "));
  }
}

TEST_CASE("a reply may say why there is no result, in a line that a log can take") {
  const Order order = train_order();
  Reply failed = reply_to(order, {});
  failed.failure = "the disk is full";
  const std::string bytes = encode(failed);
  const Reply again = decode_reply(bytes);
  CHECK(again.failure == "the disk is full");
  CHECK(again.result.index() == 0);
  CHECK_THAT(input_error_if_any([&] { check_reply(again, order, {{}}); }),
             Contains("says that the client could not: the disk is full"));
  const auto long_one =
      changed(bytes, [](Changed& parts) { parts.text["failed"] = std::string(2001, 'x'); });
  CHECK_THAT(input_error_if_any([&] { decode_reply(long_one); }), Contains("failed: "));
  for (const char* lines : {"one\ntwo", "one\r", "\n"}) {
    const auto spoiled = changed(bytes, [&](Changed& parts) { parts.text["failed"] = lines; });
    CHECK_THAT(input_error_if_any([&] { decode_reply(spoiled); }),
               Contains("failed: is not one line"));
  }
  // A reply with a result has none.
  const auto both = changed(encode(reply_to(order, HelloResult{1, 0})),
                            [](Changed& parts) { parts.text["failed"] = "x"; });
  CHECK_THAT(input_error_if_any([&] { decode_reply(both); }), Contains("failed"));
}

TEST_CASE("every kind of reply is the same after its bytes, to the last bit") {
  const Order order = train_order();
  const Reply sent = reply_to(order, update());
  const Reply trained = decode_reply(encode(sent));
  CHECK(encode(trained) == encode(sent));
  CHECK(trained.order == order.id());
  CHECK(trained.client == "ct");
  const auto& found = std::get<ClientUpdate>(trained.result);
  CHECK(found.client == "ct");
  CHECK(found.units == order.units);
  CHECK(found.samples == 5);
  CHECK(found.steps == 2);
  CHECK(found.failure.empty());
  CHECK(bits(found.train_loss) == 0x7ff8000000000123);
  CHECK(bits(found.seconds) == bits(0.1 + 0.2));
  CHECK(found.peak_memory == (std::int64_t{1} << 53) + 1);
  CHECK(same_bits(found.weights, update().weights));

  auto failed = update();
  failed.weights.clear();
  failed.peak_memory.reset();
  failed.failure = "the training loss is not finite";
  const auto told = std::get<ClientUpdate>(decode_reply(encode(reply_to(order, failed))).result);
  CHECK(told.failure == failed.failure);
  CHECK(told.weights.empty());
  CHECK_FALSE(told.peak_memory.has_value());
  for (const std::string& wrong : {std::string("one\ntwo"), std::string(2001, 'x')}) {
    const auto spoiled = changed(encode(reply_to(order, failed)),
                                 [&](Changed& parts) { parts.text["failure"] = wrong; });
    CHECK_THAT(input_error_if_any([&] { decode_reply(spoiled); }), Contains("failure: is "));
  }

  const std::vector<double> values = {0.1, 5e-324, 1e308, 0};
  const auto scores = decode_reply(encode(reply_to(order, ScoreResult{values}))).result;
  CHECK(std::get<ScoreResult>(scores).values == values);
  CHECK_FALSE(std::get<ScoreResult>(scores).noise.has_value());
  const auto noised = decode_reply(encode(reply_to(order, ScoreResult{values, 0.1 + 0.2}))).result;
  CHECK(std::get<ScoreResult>(noised).noise == 0.1 + 0.2);
  CHECK_THROWS_WITH(decode_reply(encode(reply_to(order, ScoreResult{values, 0.0}))),
                    Contains("noise"));

  const EvaluateResult measured{
      {{"accuracy", {3, 4}}, {"loss", {kNaN, 4}}}, {true, false, true}, {false, false, true}};
  const auto evaluation =
      std::get<EvaluateResult>(decode_reply(encode(reply_to(order, measured))).result);
  CHECK(evaluation.tally.size() == 2);
  CHECK(evaluation.tally.at("accuracy").sum == 3);
  CHECK(evaluation.tally.at("accuracy").weight == 4);
  CHECK(bits(evaluation.tally.at("loss").sum) == bits(kNaN));
  CHECK(evaluation.right == measured.right);
  CHECK(evaluation.majority == measured.majority);
  const auto none = decode_reply(encode(reply_to(order, EvaluateResult()))).result;
  CHECK(std::get<EvaluateResult>(none).tally.empty());
  CHECK_FALSE(std::get<EvaluateResult>(none).slice.has_value());
  const Reply with_slice = decode_reply(encode(reply_to(order, evaluation_with_slice())));
  const auto& slice = std::get<EvaluateResult>(with_slice.result).slice;
  REQUIRE(slice.has_value());
  CHECK(slice->volume == "a.nii.gz");
  CHECK(slice->slice == 7);
  CHECK(slice->planes == evaluation_with_slice().slice->planes);

  const auto hello = decode_reply(encode(reply_to(order, HelloResult{8, 0}))).result;
  CHECK(std::get<HelloResult>(hello).train_samples == 8);
  CHECK(std::get<HelloResult>(hello).test_samples == 0);
  CHECK_FALSE(std::get<HelloResult>(hello).synthetic);
  const auto drawn = decode_reply(encode(reply_to(order, HelloResult{8, 0, true, false}))).result;
  CHECK(std::get<HelloResult>(drawn).synthetic);
  CHECK_FALSE(std::get<HelloResult>(drawn).several_labels);
  const auto several = decode_reply(encode(reply_to(order, HelloResult{8, 0, false, true}))).result;
  CHECK(std::get<HelloResult>(several).several_labels);
  CHECK(decode_reply(encode(reply_to(order, {}))).result.index() == 0);
}

TEST_CASE("a task is its run, round, phase, client, units and base") {
  const Order order = train_order();
  std::vector<Order> others(6, order);
  others[0].run = "other";
  others[1].round = 8;
  others[2].work = EvaluateWork();
  others[3].client = "mri";
  others[4].units = {"head", "block.0"};
  others[5].base = "other";
  std::set<std::string> ids = {order.id()};
  for (const auto& other : others) ids.insert(other.id());
  CHECK(ids.size() == 7);
  Order same = order;
  same.state = nullptr;
  std::get<TrainWork>(same.work).share = 1;
  CHECK(same.id() == order.id());
}

TEST_CASE("a share of the local steps is rounded down, and never 0") {
  TrainWork work;
  work.local.steps = 4;
  CHECK(work.steps(10) == 4);
  work.share = 0.5;
  CHECK(work.steps(10) == 2);
  work.share = 0;
  CHECK(work.steps(10) == 1);
  work.local.steps = 100;
  work.share = 0.29;  // 28.999999999999996 of 100 as doubles
  CHECK(work.steps(10) == 29);
  work.local.steps = 0;
  work.local.epochs = 3;
  work.local.training.batch_size = 4;
  work.share = 1;
  CHECK(work.steps(10) == 9);
}

TEST_CASE("bytes that are no message are refused with what is wrong in one line") {
  const Order order = train_order();
  const std::string train = encode(reply_to(order, update()));
  const std::string score = encode(reply_to(order, ScoreResult{{1, 2}}));
  const std::string evaluation =
      encode(reply_to(order, EvaluateResult{{{"loss", {1, 2}}}, {true, true}, {true, false}}));
  const float floats[2] = {1, 2};
  const std::string_view bytes(reinterpret_cast<const char*>(floats), sizeof floats);
  struct Case {
    std::string bytes, error;
    std::function<void(Changed&)> change;
  };
  const auto set = [](const std::string& key, const Json& value) {
    return [=](Changed& message) { message.text[key] = value; };
  };
  const auto without = [](const std::string& key) {
    return [=](Changed& message) { message.text.erase(key); };
  };
  const std::vector<Case> cases = {
      {train, "reply: version", set("version", 2)},
      {train, "reply: version", without("version")},
      {train, "reply: message", set("message", "order")},
      {train, "reply: order: the key is missing", without("order")},
      {train, "reply: command: unknown key; known are", set("command", "rm")},
      {train, "reply: samples: a whole number of at least 1 was expected, found 0",
       set("samples", 0)},
      {train, "reply: samples: a whole number of at least 1 was expected, found 1.5",
       set("samples", 1.5)},
      {train, "reply: steps: a whole number of at least 1 was expected, found -1",
       set("steps", -1)},
      {train, "reply: peak_memory: a whole number of at least 0 was expected, found -1",
       set("peak_memory", -1)},
      {train, "reply: units", set("units", "head")},
      {train, "reply: phase", set("phase", "pray")},
      // A training is no evaluation.
      {train, "reply: tally: the key is missing", set("phase", "evaluate")},
      {train, "reply: is no message", [](Changed& message) { message.text = nullptr; }},
      {train, "reply: unknown metadata \"format\"",
       [](Changed& message) { message.further["format"] = "pt"; }},
      {train, "reply: the tensor train_loss is missing",
       [](Changed& message) { message.tensors.erase(message.tensors.begin()); }},
      {train, "reply: the tensor train_loss is F32, not F64",
       [=](Changed& message) {
         message.tensors[0] = {"train_loss", Dtype::kF32, {2}, bytes};
       }},
      {train, "reply: the tensor seconds is no single number",
       [=](Changed& message) {
         message.tensors[1] = {"seconds", Dtype::kF64, {1}, bytes};
       }},
      {train, "reply: the tensor weights has no place in this message",
       [=](Changed& message) {
         message.tensors.push_back({"weights", Dtype::kF32, {2}, bytes});
       }},
      {train, "reply: the tensor weight/ has no place in this message",
       [=](Changed& message) {
         message.tensors.push_back({"weight/", Dtype::kF32, {2}, bytes});
       }},
      {score, "reply: the tensor scores is no list of numbers",
       [=](Changed& message) {
         message.tensors[0] = {"scores", Dtype::kF64, {1, 1}, bytes};
       }},
      {score, "reply: the tensor weight/a has no place in this message",
       [=](Changed& message) {
         message.tensors.push_back({"weight/a", Dtype::kF32, {2}, bytes});
       }},
      {evaluation, "reply: tally: names \"loss\" twice",
       [](Changed& message) {
         message.text["tally"] = {"loss", "loss"};
         static const double sums[4] = {};
         message.tensors[0] = {
             "tally", Dtype::kF64, {2, 2}, {reinterpret_cast<const char*>(sums), sizeof sums}};
       }},
      {evaluation, "reply: the tensor tally has not a sum and a weight for each of 2 names",
       set("tally", {"loss", "accuracy"})},
      {evaluation, "reply: the tensor right holds a byte that is neither 0 nor 1",
       [](Changed& message) {
         message.tensors[1] = {"right", Dtype::kBool, {2}, "\1\2"};
       }},
  };
  for (const auto& [good, error, change] : cases) {
    const std::string bad = changed(good, change);
    const std::string found = input_error_if_any([&] { decode_reply(bad); });
    INFO(error << "\n" << found);
    CHECK(found.rfind(error, 0) == 0);
    CHECK(found.find('\n') == std::string::npos);
  }
  CHECK_THAT(input_error_if_any([&] { decode_reply(train.substr(0, 100)); }),
             Contains("reply: the header length is"));
  CHECK_THAT(input_error_if_any([&] { decode_reply(train.substr(0, 3)); }),
             Contains("reply: has 3 bytes"));
  CHECK_THAT(input_error_if_any([&] { decode_reply(encode(order)); }), Contains("reply: message"));
  // An order, too, is read as if anybody could have written it.
  const std::string sent = encode(order);
  const auto refused = [&](const std::function<void(Changed&)>& change) {
    return input_error_if_any([&] { decode_order(changed(sent, change)); });
  };
  CHECK_THAT(refused(set("round", 8)), Contains("order: id: is that of another order"));
  CHECK_THAT(refused(set("round", -1)), Contains("order: round: a whole number from 0"));
  CHECK_THAT(refused([](Changed& message) { message.text["work"]["share"] = 1.5; }),
             Contains("order: work.share: a number from 0 to 1 was expected"));
  CHECK_THAT(refused([](Changed& message) { message.text["work"]["local"]["stesp"] = 1; }),
             Contains("stesp"));
  CHECK_THAT(refused([](Changed& message) { message.text["work"]["seed"] = -1; }),
             Contains("order: work.seed"));
}

TEST_CASE("whatever bytes come, they are a message or refused as none") {
  const Order order = train_order();
  const std::vector<std::string> good = {
      encode(order), encode(reply_to(order, update())),
      encode(reply_to(order, EvaluateResult{{{"loss", {1, 2}}}, {true, false}, {true, true}}))};
  Random random(7);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string bytes = good[random.below(good.size())];
    const std::uint64_t changes = 1 + random.below(3);
    for (std::uint64_t k = 0; k < changes; ++k) {
      // Mostly digits and the marks of JSON, where they hurt.
      const std::string marks = "0123456789-\"{}[],:e.";
      char& byte = bytes[random.below(bytes.size())];
      byte = random.below(4) == 0 ? static_cast<char>(random.below(256))
                                  : marks[random.below(marks.size())];
    }
    if (random.below(8) == 0) bytes.resize(random.below(bytes.size()));
    try {
      if (random.below(2) == 0) {
        decode_order(bytes);
      } else {
        decode_reply(bytes);
      }
    } catch (const InputError& error) {
      ++refused;
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
  CHECK(refused > 3000);
  // No element at all, and extents that no memory has.
  const std::string hollow = changed(good[1], [](Changed& message) {
    message.tensors.push_back(
        {"weight/z", Dtype::kF32, {0, std::int64_t{1} << 62, std::int64_t{1} << 62}, {}});
  });
  CHECK(input_error_if_any([&] { decode_reply(hollow); }) ==
        "reply: the tensor weight/z has extents whose product overflows 64 bits");
}

TEST_CASE("what the fuzzer begins with are orders of every phase and replies that answer them") {
  const std::string corpus = STRATA_SOURCE_DIR "/tests/fuzz/corpus/replies/";
  const std::vector<Unit> all = units();
  std::set<Phase> asked;
  for (const char* name : {"hello", "score", "train", "scaffold", "ditto", "evaluate"}) {
    INFO(name);
    const Order order = decode_order(read_file(corpus + name + ".order"));
    const Reply reply = decode_reply(read_file(corpus + name + ".reply"));
    CHECK(input_error_if_any([&] { check_reply(reply, order, {all, 5}); }) == "");
    asked.insert(order.phase());
  }
  CHECK(asked.size() == 4);
}

TEST_CASE("a reply that does not answer its order is refused with what is wrong") {
  const Order order = train_order();
  const std::vector<Unit> all = units();
  const Expected expected{all, 5};
  const auto refused = [&](const Reply& reply, const Order& asked) {
    return input_error_if_any([&] { check_reply(reply, asked, expected); });
  };
  const auto refused_update = [&](const std::function<void(ClientUpdate&)>& change) {
    auto changed = update();
    change(changed);
    return refused(reply_to(order, changed), order);
  };
  CHECK(refused(reply_to(order, update()), order) == "");
  Reply reply = reply_to(order, update());
  reply.order = "another";
  CHECK(refused(reply, order) == "the reply is to another order");
  reply = reply_to(order, update());
  reply.client = "mri";
  CHECK(refused(reply, order) == "the reply is of client mri");
  CHECK(refused(reply_to(order, ScoreResult{{1, 1}}), order) ==
        "the reply is of the phase score, not train");
  CHECK(refused(reply_to(order, {}), order) == "the reply has nothing of what was asked for");
  reply = reply_to(order, {});
  reply.late = true;
  CHECK(refused(reply, order) == "");
  Order nothing = order;
  nothing.units.clear();
  CHECK(refused(reply_to(nothing, {}), nothing) == "");
  nothing.work = EvaluateWork();
  CHECK(refused(reply_to(nothing, {}), nothing) == "the reply has nothing of what was asked for");

  CHECK(refused_update([](auto& u) { u.weights["c"] = torch::ones({1}, torch::kInt64); }) ==
        "the reply has the weight c, which it was not asked for");
  CHECK(refused_update([](auto& u) { u.weights["e"] = torch::ones({1}); }) ==
        "the reply has the weight e, which it was not asked for");
  CHECK(refused_update([](auto& u) { u.weights.erase("b"); }) == "the reply lacks the weight b");
  // What was to stay as it is does not come.
  Order frozen = order;
  std::get<TrainWork>(frozen.work).frozen = {"b"};
  auto rest = update();
  rest.weights.erase("b");
  CHECK(refused(reply_to(frozen, rest), frozen) == "");
  CHECK(refused(reply_to(frozen, update()), frozen) ==
        "the reply has the weight b, which it was not asked for");
  // Pairs that were to be pruned may come back smaller, and no others.
  Order pruning = order;
  std::get<TrainWork>(pruning.work).pruning.cuts["b"] = {1, 1};
  auto pruned = update();
  CHECK(refused(reply_to(pruning, pruned), pruning) == "");
  pruned.weights["b"] = torch::ones({2, 1});
  CHECK(refused(reply_to(pruning, pruned), pruning) ==
        "the reply has the weight b as F32 2 1, not F32 2 2");
  pruned.pruned = true;
  CHECK(refused(reply_to(pruning, pruned), pruning) == "");
  pruned.weights["b"] = torch::ones({2, 2});
  CHECK(refused(reply_to(pruning, pruned), pruning) ==
        "the reply has the weight b as F32 2 2, not F32 2 1");
  CHECK(refused_update([](auto& u) { u.pruned = true; }) ==
        "the reply says that it has pruned its pairs, which it was not asked to");
  std::get<TrainWork>(pruning.work).cohorts = {{"head", 3}};
  const Order back = decode_order(encode(pruning));
  CHECK(std::get<TrainWork>(back.work).cohorts.at("head") == 3);
  const PruningWork& read = std::get<TrainWork>(back.work).pruning;
  CHECK(read.cuts.size() == 1);
  CHECK((read.cuts.at("b").dim == 1 && read.cuts.at("b").kept == 1));
  CHECK(std::get<ClientUpdate>(decode_reply(encode(reply_to(pruning, pruned))).result).pruned);
  CHECK(refused_update([](auto& u) { u.weights["b"] = torch::ones({4}); }) ==
        "the reply has the weight b as F32 4, not F32 2 2");
  CHECK(refused_update([](auto& u) {
          u.weights["b"] = torch::ones({2, 2}, torch::kDouble);
        }) == "the reply has the weight b as F64 2 2, not F32 2 2");
  CHECK(refused_update([](auto& u) { u.units = {"block.0"}; }) ==
        "the reply is of other units than the order");
  CHECK_THAT(refused_update([](auto& u) { u.seconds = -1; }), Contains("training took -1"));
  CHECK_THAT(refused_update([](auto& u) { u.seconds = kNaN; }), Contains("training took"));
  CHECK_THAT(refused_update([](auto& u) { u.seconds = HUGE_VAL; }), Contains("training took inf"));
  // Samples weigh in the average, and steps in what counts as an outlier.
  CHECK(refused_update([](auto& u) { u.samples = 1000000; }) ==
        "the reply says that it has 1000000 training samples, not 5 as before");
  CHECK(refused_update([](auto& u) { u.steps = 3; }) ==
        "the reply says that it took 3 steps of at most 2");
  CHECK(refused_update([](auto& u) { u.steps = 1; }) == "");
  CHECK(refused_update([](auto& u) { u.failure = "no"; }) ==
        "the reply has weights, and says that there are none");
  CHECK(refused_update([](auto& u) {
          u.failure = "no";
          u.weights.clear();
        }) == "");

  Order score = order;
  score.work = ScoreWork{"lntk", 4, 1};
  CHECK(refused(reply_to(score, ScoreResult{{1, 0}}), score) == "");
  CHECK(refused(reply_to(score, ScoreResult{{1}}), score) ==
        "the reply scores 1 units where 2 were asked for");
  CHECK_THAT(refused(reply_to(score, ScoreResult{{1, kNaN}}), score),
             Contains("scores the unit head with nan"));
  CHECK_THAT(refused(reply_to(score, ScoreResult{{-1, 1}}), score),
             Contains("scores the unit block.0 with -1"));
  CHECK_THAT(refused(reply_to(score, ScoreResult{{HUGE_VAL, 1}}), score),
             Contains("scores the unit block.0 with inf"));

  Order evaluate = order;
  evaluate.work = EvaluateWork();
  const auto evaluation = [&](const EvaluateResult& result) {
    return refused(reply_to(evaluate, result), evaluate);
  };
  CHECK(evaluation({{{"loss", {kNaN, 2}}}, {true}, {false}}) == "");
  CHECK_THAT(evaluation({{{"loss", {1, -2}}}, {}, {}}), Contains("has loss with a weight of -2"));
  CHECK_THAT(evaluation({{{"loss", {1, kNaN}}}, {}, {}}), Contains("has loss with a weight of"));
  CHECK_THAT(evaluation({{}, {true}, {}}),
             Contains("has 1 answers to questions and 0 of the majority"));

  auto shown = evaluation_with_slice();
  CHECK(evaluation(shown) == "the reply has a slice, which it was not asked for");
  evaluate.work = EvaluateWork{{}, true};
  CHECK(std::get<EvaluateWork>(decode_order(encode(evaluate)).work).slice);
  CHECK(evaluation(shown) == "");
  for (const auto& planes :
       {data::LabelPlanes(2, 2, 4), data::LabelPlanes(3, 0, 4), data::LabelPlanes(3, 2, 257)}) {
    shown.slice->planes = planes;
    CHECK_THAT(evaluation(shown), Contains("has a slice of "));
  }
}
