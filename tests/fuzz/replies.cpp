// libFuzzer's entry point for the messages between a server and its clients: orders and replies of
// every phase. Both readers get every input. They may refuse it with InputError; what they read is
// written and read again, the same to the last byte, and a reply is held against orders of every
// phase: what check_reply accepts of it has the numbers, shapes and types that were asked for.
// Anything else is a defect.
//
//   fuzz_replies -runs=1300 -mutate_depth=1 -seed=1 tests/fuzz/corpus/replies   as the test runs it
//   fuzz_replies -max_total_time=3600 MY_CORPUS tests/fuzz/corpus/replies   by hand
//   STRATA_WRITE_CORPUS=tests/fuzz/corpus/replies fuzz_replies -runs=0   writes what it begins with

// The first of LibTorch's headers that clang sees: the others have vectors of IValue before it is
// complete, whose constexpr members clang 14 then makes too early.
#include <ATen/core/ivalue.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/document.h"
#include "fedrunner/messages.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/core/sha256.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

using namespace strata::fedrunner;
namespace experiment = strata::experiment;
using strata::Json;
using strata::TensorView;

void require(bool holds) {
  if (!holds) std::abort();
}

// What is asked, and what answers it -------------------------------------------------------------

constexpr std::int64_t kSamples = 5;

const std::vector<strata::Unit>& run_units() {
  static const std::vector<strata::Unit> units = {
      {.name = "block.0", .parameters = {"a", "b"}},
      {.name = "block.1", .parameters = {"c"}},
      {.name = "head", .role = strata::Role::kHead, .parameters = {"d"}}};
  return units;
}

ModelState run_state() {
  return {{"a", torch::full({3}, -0.0f)},
          {"b", torch::full({2, 2}, 0.1f)},
          {"c", torch::full({1}, std::int64_t{1} << 62, torch::kInt64)},
          {"d", torch::full({}, 3.0f)}};
}

Order order_of(Work work) {
  Order order{"run", 7, "ct", {"block.0", "head"}, "base"};
  if (work.index() > 0) order.state = std::make_shared<const ModelState>(run_state());
  order.work = std::move(work);
  return order;
}

TrainWork training(experiment::FederatedAlgorithm algorithm) {
  TrainWork work;
  work.local.epochs = 3;
  work.local.training.batch_size = 2;
  work.seed = 12345678901234567890u;
  work.algorithm.algorithm = algorithm;
  return work;
}

ClientUpdate trained() {
  ModelState weights = run_state();
  weights.erase("c");
  return {.client = "ct",
          .samples = kSamples,
          .steps = 2,
          .units = {"block.0", "head"},
          .weights = weights,
          .train_loss = NAN,
          .seconds = 0.3,
          .peak_memory = (std::int64_t{1} << 53) + 1};
}

struct Exchange {
  std::string name;
  Order order;
  Result result;
};

std::vector<Exchange> made_exchanges() {
  TrainWork plain = training(experiment::FederatedAlgorithm::kFedavg);
  plain.share = 0.9;
  plain.cohorts = {{"head", 3}};
  plain.pruning = {0.5, {{"b", {1, 1}}}};
  plain.local.learning_rates = {0.01, 0.1};
  ClientUpdate pruned = trained();
  pruned.weights["b"] = torch::ones({2, 1});
  pruned.pruned = true;
  TrainWork scaffold = training(experiment::FederatedAlgorithm::kScaffold);
  scaffold.local.privacy = experiment::PrivateTraining();
  scaffold.frozen = {"b"};
  scaffold.memory = scaffold.control = {{"a", torch::ones({3})}};
  ClientUpdate remembering = trained();
  remembering.weights.erase("b");
  remembering.memory = remembering.weights;
  TrainWork personal = training(experiment::FederatedAlgorithm::kDitto);
  ClientUpdate failed = trained();
  failed.weights.clear();
  failed.failure = "the training loss is not finite";
  strata::tasks::ShownSlice slice{"a.nii.gz", 7, strata::data::LabelPlanes(3, 2, 4)};
  std::vector<Exchange> exchanges = {
      {"hello", order_of(HelloWork()), HelloResult{kSamples, 2, true, true}},
      {"score", order_of(ScoreWork{"lntk", 4, 1, {"yes", "no"}, 3, 5}),
       ScoreResult{{0.1, 5e-324}, 0.5}},
      {"train", order_of(plain), pruned},
      {"scaffold", order_of(scaffold), remembering},
      {"ditto", order_of(personal), failed},
      {"evaluate", order_of(EvaluateWork{{{"b", torch::ones({2, 2})}}, true}),
       EvaluateResult{
           {{"accuracy", {3, 4}}, {"loss", {NAN, 4}}}, {true, false}, {false, true}, slice}}};
  exchanges[1].order.ranks = {{"block.0", 0}, {"head", 3}};
  Order& first = exchanges[0].order;
  first.experiment = std::make_shared<const std::string>("version: 1\n");
  first.run = strata::sha256_hex(*first.experiment);
  first.threads = 3;
  return exchanges;
}

const std::vector<Exchange>& exchanges() {
  static const std::vector<Exchange> made = made_exchanges();
  return made;
}

Reply answer_to(const Exchange& exchange) {
  return {exchange.order.id(), exchange.order.client, exchange.result};
}

// What has to hold -------------------------------------------------------------------------------

/// What the reader makes of the bytes, nothing where it refuses them.
template <typename Message>
std::optional<Message> read_by(Message (*reader)(std::string), const std::string& bytes) {
  try {
    return reader(bytes);
  } catch (const strata::InputError&) {
    return std::nullopt;
  }
}

bool is_line(const std::string& reason) {
  return reason.size() <= 2000 && reason.find_first_of("\n\r") == std::string::npos;
}

void check_accepted(const Reply& reply, const Order& order) {
  if (const auto* score = std::get_if<ScoreResult>(&reply.result)) {
    require(score->values.size() == order.units.size());
    for (const double value : score->values) require(std::isfinite(value) && value >= 0);
  } else if (const auto* evaluation = std::get_if<EvaluateResult>(&reply.result)) {
    require(evaluation->right.size() == evaluation->majority.size());
    require(!evaluation->slice || evaluation->slice->planes.count == 3);
  } else if (const auto* update = std::get_if<ClientUpdate>(&reply.result)) {
    require(is_line(update->failure));
    require(update->samples == kSamples && update->steps >= 1 && std::isfinite(update->seconds));
    for (const auto* tensors : {&update->weights, &update->memory}) {
      for (const auto& [name, tensor] : *tensors) {
        const torch::Tensor& before = order.state->at(name);
        require(tensor.scalar_type() == before.scalar_type());
        require(update->pruned ? tensor.numel() <= before.numel()
                               : tensor.sizes() == before.sizes());
      }
    }
    const auto& frozen = std::get<TrainWork>(order.work).frozen;
    if (update->failure.empty()) require(update->weights.size() == 3 - frozen.size());
  }
}

bool accepted(const Reply& reply, const Order& order) {
  try {
    check_reply(reply, order, {run_units(), kSamples});
  } catch (const strata::InputError&) {
    return false;
  }
  check_accepted(reply, order);
  return true;
}

// What is tried ----------------------------------------------------------------------------------

using Draw = std::minstd_rand;

template <typename List>
auto& one_of(List& list, Draw& draw) {
  return list[draw() % list.size()];
}

/// All values of a JSON text, the innermost ones last.
void collect(Json& value, std::vector<Json*>& all) {
  all.push_back(&value);
  if (value.is_structured())
    for (auto& below : value) collect(below, all);
}

void mutate_text(Json& text, Draw& draw) {
  static const std::vector<Json> values = {nullptr,
                                           true,
                                           0,
                                           1,
                                           -1,
                                           1.5,
                                           1e308,
                                           5e-324,
                                           std::numeric_limits<std::int64_t>::max(),
                                           std::numeric_limits<std::uint64_t>::max(),
                                           "",
                                           "head",
                                           "a",
                                           Json::array(),
                                           Json::object(),
                                           {0.1, 0.2},
                                           {{"from", 1}, {"to", 1.01}, {"trials", 9}},
                                           {{"b", 1}},
                                           {"head", "head"}};
  static const std::vector<std::string> keys = {
      "phase",   "failed",        "failure", "noise",      "slice",   "pruned",         "ranks",
      "threads", "experiment",    "frozen",  "companions", "pruning", "cohorts",        "algorithm",
      "local",   "learning_rate", "private", "schedule",   "rows",    "random_outputs", "a",
      "b"};
  std::vector<Json*> all;
  collect(text, all);
  if (text.is_structured() && !text.empty() && draw() % 2) {
    all.clear();
    for (auto& below : text) all.push_back(&below);
  }
  Json& value = *one_of(all, draw);
  switch (value.is_array() ? draw() % 2 : draw() % 4) {
    case 0:
      if (value.is_object()) value[one_of(keys, draw)] = one_of(values, draw);
      if (value.is_array()) value.push_back(one_of(values, draw));
      break;
    case 1:
      if (!value.empty() && value.is_structured())
        value.erase(std::next(value.begin(), static_cast<std::ptrdiff_t>(draw() % value.size())));
      break;
    case 2:
      value = Json(*one_of(all, draw));
      break;
    default:
      value = one_of(values, draw);
  }
}

/// The order's id becomes that of what it says now.
void mend_id(Json& text) {
  Json task = Json::array();
  for (const char* key : {"run", "round", "phase", "client", "units", "base"}) {
    if (!text.contains(key)) return;
    task.push_back(text[key]);
  }
  if (text.contains("id")) text["id"] = strata::sha256_hex(task.dump());
}

/// `bytes` outlives the views.
void mutate_tensors(std::vector<TensorView>& tensors, std::string& bytes, Draw& draw) {
  static const std::vector<std::string> names = {"weight/a",   "weight/b", "weight/c", "weight/d",
                                                 "weight/",    "memory/a", "memory/b", "control/a",
                                                 "scores",     "tally",    "right",    "majority",
                                                 "train_loss", "seconds",  "slice"};
  if (tensors.empty() || draw() % 4 == 0) tensors.push_back({"", strata::Dtype::kF32, {}, {}});
  TensorView& tensor = one_of(tensors, draw);
  if (tensor.name.empty() || draw() % 4 == 0) {
    tensor.name = one_of(names, draw);
    for (const TensorView& other : tensors)
      if (&other != &tensor && other.name == tensor.name) tensor.name += "2";
  }
  if (draw() % 2) tensor.dtype = static_cast<strata::Dtype>(draw() % 10);
  if (draw() % 2) tensor.shape.assign(draw() % 4, static_cast<std::int64_t>(draw() % 4));
  if (draw() % 16 == 0)
    tensor.shape.insert(tensor.shape.end(), {0, std::int64_t{1} << draw() % 63});
  std::uint64_t size = strata::dtype_size(tensor.dtype);
  for (const auto extent : tensor.shape) size *= static_cast<std::uint64_t>(extent);
  bytes.assign(size < 256 ? size : 0, static_cast<char>(draw() % 3 ? draw() % 2 : 0xff));
  tensor.bytes = bytes;
}

/// A message of the parts of this one with one of them changed. @throws InputError: it is none
std::string mutated_parts(const std::string& bytes, Draw& draw) {
  const strata::SafetensorsFile file(bytes, "fuzz");
  std::map<std::string, std::string> metadata = file.metadata();
  std::vector<TensorView> tensors;
  for (const auto& entry : file.tensors())
    tensors.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
  std::string& text = metadata["strata"];
  std::vector<std::string> changed(1 + draw() % 2);
  for (std::string& data : changed) {
    Json json = Json::parse(text, nullptr, false);
    if (draw() % 2) {
      mutate_tensors(tensors, data, draw);
    } else if (json.is_discarded() || draw() % 16 == 0) {
      text.resize(text.size() + 64);
      text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), text.size() - 64,
                                   text.size()));
    } else {
      mutate_text(json, draw);
      if (json.is_object() && draw() % 4) mend_id(json);
      text = json.dump();
    }
  }
  return strata::safetensors_bytes(tensors, metadata);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* folder = std::getenv("STRATA_WRITE_CORPUS");
  for (const Exchange& exchange : exchanges()) {
    const Reply reply = answer_to(exchange);
    require(accepted(reply, exchange.order));
    if (!folder) continue;
    const std::string path = std::string(folder) + "/" + exchange.name;
    std::ofstream(path + ".order", std::ios::binary) << encode(exchange.order);
    std::ofstream(path + ".reply", std::ios::binary) << encode(reply);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  Draw draw(seed);
  if (draw() % 16 > 0) {
    try {
      std::string bytes(reinterpret_cast<const char*>(data), size);
      // It is replies that are hostile, and a second fault in one that is refused is not come to.
      if (draw() % 8 && !read_by(decode_reply, bytes))
        bytes = encode(answer_to(one_of(exchanges(), draw)));
      bytes = mutated_parts(bytes, draw);
      if (bytes.size() <= most) {
        std::copy(bytes.begin(), bytes.end(), data);
        return bytes.size();
      }
    } catch (const std::exception&) {  // no message, or a text that is no UTF-8
    }
  }
  return LLVMFuzzerMutate(data, size, most);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (const auto order = read_by(decode_order, bytes)) {
    const std::string again = encode(*order);
    require(encode(decode_order(again)) == again);
  }
  if (const auto reply = read_by(decode_reply, bytes)) {
    const std::string again = encode(*reply);
    require(encode(decode_reply(again)) == again);
    require(is_line(reply->failure));
    accepted(*reply, exchanges()[0].order);
    // What it says is held against each order of its phase, whichever it is to.
    for (const auto& [name, order, result] : exchanges()) {
      if (reply->result.index() != result.index()) continue;
      Reply answer = *reply;
      answer.order = order.id(), answer.client = order.client;
      accepted(answer, order);
    }
  }
  return 0;
}
