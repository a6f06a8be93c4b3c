#include "fedrunner/messages.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "core/document.h"
#include "core/infinity.h"
#include "fedrunner/algorithms/algorithm.h"
#include "fedrunner/training.h"
#include "models/tensor_bytes.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/core/sha256.h"

namespace strata::fedrunner {
namespace {

using torch::Tensor;

constexpr int kVersion = 1;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr double kLeastNoise = 1e-9, kMostNoise = 1e18;
constexpr std::size_t kLongestFailure = 2000;
const std::string kText = "strata", kWeight = "weight/";
const std::string kMemory = "memory/", kControl = "control/";  // then the weight
const std::string kScores = "scores", kTally = "tally", kRight = "right", kMajority = "majority";
const std::string kLoss = "train_loss", kSeconds = "seconds", kSlice = "slice";

Tensor numbers(const std::vector<double>& values) {
  auto tensor = torch::empty({static_cast<std::int64_t>(values.size())}, torch::kFloat64);
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  return tensor;
}

Tensor flags(const std::vector<bool>& values) {
  auto tensor = torch::empty({static_cast<std::int64_t>(values.size())}, torch::kBool);
  std::copy(values.begin(), values.end(), tensor.data_ptr<bool>());
  return tensor;
}

/// A message being written.
struct Writer {
  Json text{{"version", kVersion}};
  std::vector<Tensor> tensors = {};
  std::vector<TensorView> views = {};

  void add(const std::string& name, const Tensor& tensor) {
    tensors.push_back(tensor.detach().to(torch::kCPU).contiguous());
    const auto& kept = tensors.back();
    views.push_back({name, models::dtype_of(kept), kept.sizes().vec(), models::bytes_of(kept)});
  }
  void add(const ModelState& weights, const std::string& kind = kWeight) {
    for (const auto& [name, weight] : weights) add(kind + name, weight);
  }
  std::string bytes() const { return safetensors_bytes(views, {{kText, text.dump()}}); }
};

/// A message being read: every key and every tensor has to be asked for.
class Reader {
 public:
  Reader(std::string bytes, const std::string& what)
      : file_(std::move(bytes), what), document_(text_of(file_, what)), text(document_) {
    text.version(kVersion);
  }

  /// @throws InputError where there is none, or of another type.
  Tensor tensor(const std::string& name, Dtype dtype) {
    const auto* entry = file_.find(name);
    if (!entry) fail(name, "is missing");
    if (entry->dtype != dtype)
      fail(name, std::string("is ") + dtype_name(entry->dtype) + ", not " + dtype_name(dtype));
    return take(*entry);
  }
  std::vector<double> numbers(const std::string& name) {
    const Tensor values = tensor(name, Dtype::kF64);
    if (values.dim() != 1) fail(name, "is no list of numbers");
    const auto* first = values.data_ptr<double>();
    return {first, first + values.numel()};
  }
  double number(const std::string& name) {
    const Tensor value = tensor(name, Dtype::kF64);
    if (value.dim() != 0) fail(name, "is no single number");
    return value.item<double>();
  }
  std::vector<bool> flags(const std::string& name) {
    // A byte that is neither 0 nor 1 is no bool of C++'s.
    const auto* entry = file_.find(name);
    const auto values = tensor(name, Dtype::kBool);
    if (values.dim() != 1) fail(name, "is no list of flags");
    const auto bytes = file_.bytes(*entry);
    if (bytes.find_first_not_of(std::string_view("\0\1", 2)) != std::string_view::npos)
      fail(name, "holds a byte that is neither 0 nor 1");
    std::vector<bool> flags;
    for (const char byte : bytes) flags.push_back(byte != 0);
    return flags;
  }
  /// Every tensor whose name begins so; in no message the name of a weight is empty.
  ModelState weights(const std::string& kind = kWeight) {
    ModelState weights;
    for (const auto& entry : file_.tensors()) {
      if (entry.name.rfind(kind, 0) == 0 && entry.name != kind)
        weights[entry.name.substr(kind.size())] = take(entry);
    }
    return weights;
  }
  /// @throws InputError for a key or a tensor that nobody asked for.
  void finish() {
    text.finish();
    for (const auto& entry : file_.tensors())
      if (!taken_.count(entry.name)) fail(entry.name, "has no place in this message");
  }
  [[noreturn]] void fail(const std::string& tensor, const std::string& why) const {
    throw InputError(file_.path().string() + ": the tensor " + tensor + " " + why);
  }

 private:
  static Document text_of(const SafetensorsFile& file, const std::string& what) {
    for (const auto& [key, value] : file.metadata())
      if (key != kText) throw InputError(what + ": unknown metadata \"" + key + "\"");
    if (file.metadata().empty())
      throw InputError(what + ": is no message: its metadata has no \"" + kText + "\"");
    return parse_json(file.metadata().at(kText), what);
  }
  Tensor take(const TensorEntry& entry) {
    taken_.insert(entry.name);
    // Of no elements, and yet too long for LibTorch to step through.
    std::int64_t steps = 8;
    for (const auto extent : entry.shape) {
      if (__builtin_mul_overflow(steps, std::max<std::int64_t>(extent, 1), &steps))
        fail(entry.name, "has extents whose product overflows 64 bits");
    }
    auto tensor = torch::empty(entry.shape, models::scalar_type(entry.dtype));
    const auto bytes = file_.bytes(entry);
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(tensor.data_ptr()));
    return tensor;
  }

  SafetensorsFile file_;
  Document document_;
  std::set<std::string> taken_;

 public:
  ObjectReader text;
};

// Orders ------------------------------------------------------------------------------------------

Json written(const HelloWork&) {
  return Json::object();
}
Json written(const ScoreWork& work) {
  Json written = {{"metric", work.metric},
                  {"samples", work.samples},
                  {"seed", work.seed},
                  {"answers", work.answers},
                  {"top_answers", work.top_answers}};
  if (work.random_outputs > 0) written["random_outputs"] = work.random_outputs;
  return written;
}
// Of factors by what is cut: rows of the first, columns of the second.
const std::string kPrunedRows = "rows", kPrunedColumns = "columns";

Json pruning_json(const PruningWork& pruning) {
  Json written = {{"penalty", pruning.penalty},
                  {kPrunedRows, Json::object()},
                  {kPrunedColumns, Json::object()}};
  for (const auto& [name, cut] : pruning.cuts)
    written[cut.dim == 0 ? kPrunedRows : kPrunedColumns][name] = cut.kept;
  return written;
}

PruningWork read_pruning(ObjectReader reader) {
  PruningWork pruning;
  pruning.penalty = reader.number("penalty", 0, kInfinity);
  for (const std::int64_t dim : {0, 1}) {
    ObjectReader of = reader.object(dim == 0 ? kPrunedRows : kPrunedColumns, true);
    for (const auto& name : of.keys()) pruning.cuts[name] = {dim, of.integer(name, 1, kMost)};
    of.finish();
  }
  reader.finish();
  return pruning;
}

Json written(const TrainWork& work) {
  Json written = {{"local", experiment::local_fields().write(work.local)},
                  {"seed", work.seed},
                  {"share", work.share}};
  if (!work.frozen.empty()) written["frozen"] = work.frozen;
  const Json algorithm = experiment::algorithm_fields().write(work.algorithm);
  if (!algorithm.empty()) written["algorithm"] = algorithm;
  if (!work.companions.empty()) written["companions"] = work.companions;
  if (!work.pruning.cuts.empty()) written["pruning"] = pruning_json(work.pruning);
  if (!work.cohorts.empty()) written["cohorts"] = work.cohorts;
  return written;
}
Json written(const EvaluateWork& work) {
  Json written = Json::object();
  if (work.slice) written[kSlice] = true;
  return written;
}

Work read_work(Phase phase, ObjectReader reader) {
  Work work;
  if (phase == Phase::kScore) {
    ScoreWork score;
    score.metric = reader.filled_text("metric");
    score.samples = reader.integer("samples", 1, std::numeric_limits<int>::max());
    score.seed = reader.seed("seed");
    score.answers = distinct_texts().read(reader, "answers", std::nullopt);
    score.top_answers = reader.integer("top_answers", 1, std::numeric_limits<int>::max());
    score.random_outputs = reader.integer("random_outputs", 0, std::numeric_limits<int>::max(), 0);
    work = score;
  } else if (phase == Phase::kTrain) {
    TrainWork train;
    train.local = experiment::local_fields().read(reader.object("local", true));
    train.seed = reader.seed("seed");
    train.share = reader.number("share", 0, 1);
    if (reader.has("frozen")) train.frozen = reader.texts("frozen");
    train.algorithm = experiment::algorithm_fields().read(reader.object("algorithm"));
    if (reader.has("companions")) train.companions = reader.texts("companions");
    if (reader.has("pruning")) train.pruning = read_pruning(reader.object("pruning"));
    if (reader.has("cohorts")) {
      auto cohorts = reader.object("cohorts");
      for (const auto& unit : cohorts.keys()) train.cohorts[unit] = cohorts.integer(unit, 1, kMost);
      cohorts.finish();
    }
    work = train;
  } else if (phase == Phase::kEvaluate) {
    EvaluateWork evaluate;
    evaluate.slice = reader.boolean(kSlice, false);
    work = evaluate;
  }
  reader.finish();
  return work;
}

// Replies -----------------------------------------------------------------------------------------

void write(Writer& out, const HelloResult& hello) {
  out.text["train_samples"] = hello.train_samples;
  out.text["test_samples"] = hello.test_samples;
  if (hello.synthetic) out.text["synthetic"] = true;
  if (hello.several_labels) out.text["several_labels"] = true;
}
void write(Writer& out, const ScoreResult& score) {
  out.add(kScores, numbers(score.values));
  if (score.noise) out.text["noise"] = *score.noise;
}
void write(Writer& out, const ClientUpdate& update) {
  out.text["units"] = update.units;
  out.text["samples"] = update.samples;
  out.text["steps"] = update.steps;
  if (update.peak_memory) out.text["peak_memory"] = *update.peak_memory;
  if (!update.failure.empty()) out.text["failure"] = update.failure;
  if (update.pruned) out.text["pruned"] = true;
  out.add(kLoss, numbers({update.train_loss}).squeeze(0));
  out.add(kSeconds, numbers({update.seconds}).squeeze(0));
  out.add(update.weights);
  out.add(update.memory, kMemory);
}
void write(Writer& out, const EvaluateResult& evaluation) {
  Json names = Json::array();
  std::vector<double> sums;
  for (const auto& [name, sum] : evaluation.tally) {
    names.push_back(name);
    sums.insert(sums.end(), {sum.sum, sum.weight});
  }
  out.text["tally"] = names;
  out.add(kTally, numbers(sums).view({static_cast<std::int64_t>(names.size()), 2}));
  out.add(kRight, flags(evaluation.right));
  out.add(kMajority, flags(evaluation.majority));
  if (!evaluation.slice) return;
  const auto& [volume, slice, planes] = *evaluation.slice;
  out.text[kSlice] = {{"volume", volume}, {"slice", slice}};
  auto bytes = torch::empty({planes.count, planes.height, planes.width}, torch::kUInt8);
  std::copy(planes.values.begin(), planes.values.end(), bytes.data_ptr<std::uint8_t>());
  out.add(kSlice, bytes);
}
void write(Writer&, std::monostate) {}

/// Why something was not done: it goes to a log.
std::string read_reason(ObjectReader& text, const std::string& key) {
  std::string reason = text.filled_text(key);
  if (reason.size() > kLongestFailure)
    text.fail(key, "is longer than " + std::to_string(kLongestFailure) + " bytes");
  if (reason.find_first_of("\n\r") != std::string::npos) text.fail(key, "is not one line");
  return reason;
}

ClientUpdate read_update(Reader& in, const std::string& client) {
  ClientUpdate update;
  update.client = client;
  update.units = in.text.texts("units");
  update.samples = in.text.integer("samples", 1, kMost);
  update.steps = in.text.integer("steps", 1, kMost);
  if (in.text.has("peak_memory")) update.peak_memory = in.text.integer("peak_memory", 0, kMost);
  if (in.text.has("failure")) update.failure = read_reason(in.text, "failure");
  update.pruned = in.text.boolean("pruned", false);
  update.train_loss = in.number(kLoss);
  update.seconds = in.number(kSeconds);
  update.weights = in.weights();
  update.memory = in.weights(kMemory);
  return update;
}

ScoreResult read_score_result(Reader& in) {
  ScoreResult score{in.numbers(kScores)};
  if (in.text.has("noise")) score.noise = in.text.number("noise", kLeastNoise, kMostNoise);
  return score;
}

tasks::ShownSlice read_slice(Reader& in) {
  ObjectReader about = in.text.object(kSlice, true);
  tasks::ShownSlice shown{about.text("volume"), about.integer("slice", 0, kMost)};
  about.finish();
  const Tensor bytes = in.tensor(kSlice, Dtype::kU8);
  if (bytes.dim() != 3) in.fail(kSlice, "is no list of planes");
  shown.planes = data::LabelPlanes(bytes.size(0), bytes.size(1), bytes.size(2));
  std::copy_n(bytes.data_ptr<std::uint8_t>(), bytes.numel(), shown.planes.values.data());
  return shown;
}

EvaluateResult read_evaluation(Reader& in) {
  EvaluateResult evaluation;
  const auto names = in.text.texts("tally");
  const Tensor sums = in.tensor(kTally, Dtype::kF64);
  const auto count = static_cast<std::int64_t>(names.size());
  if (sums.sizes().vec() != std::vector<std::int64_t>{count, 2})
    in.fail(kTally, "has not a sum and a weight for each of " + std::to_string(count) + " names");
  const auto* values = sums.data_ptr<double>();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!evaluation.tally.emplace(names[i], Sum{values[2 * i], values[2 * i + 1]}).second)
      in.text.fail("tally", "names \"" + names[i] + "\" twice");
  }
  evaluation.right = in.flags(kRight);
  evaluation.majority = in.flags(kMajority);
  if (in.text.has(kSlice)) evaluation.slice = read_slice(in);
  return evaluation;
}

Result read_result(Reader& in, Phase phase, const std::string& client) {
  switch (phase) {
    case Phase::kHello:
      return HelloResult{
          in.text.integer("train_samples", 1, kMost), in.text.integer("test_samples", 0, kMost),
          in.text.boolean("synthetic", false), in.text.boolean("several_labels", false)};
    case Phase::kScore:
      return read_score_result(in);
    case Phase::kTrain:
      return read_update(in, client);
    case Phase::kEvaluate:
      break;
  }
  return read_evaluation(in);
}

// Checks ------------------------------------------------------------------------------------------

[[noreturn]] void refuse(const std::string& why) {
  throw InputError("the reply " + why);
}

std::string shape_text(const Tensor& tensor) {
  std::string text = dtype_name(models::dtype_of(tensor));
  for (const auto extent : tensor.sizes()) text.append(" ").append(std::to_string(extent));
  return text;
}

void check(const ScoreResult& score, const Order& order) {
  if (score.values.size() != order.units.size())
    refuse("scores " + std::to_string(score.values.size()) + " units where " +
           std::to_string(order.units.size()) + " were asked for");
  for (std::size_t i = 0; i < order.units.size(); ++i) {
    if (!std::isfinite(score.values[i]) || score.values[i] < 0)
      refuse("scores the unit " + order.units[i] + " with " + std::to_string(score.values[i]) +
             "; scores are finite and at least 0");
  }
}

/// Exactly those `asked` for; `what` they are begins their names in messages.
void check_tensors(const ModelState& tensors, const std::set<std::string>& asked,
                   const Order& order, const std::string& what, const FactorCuts& cuts = {}) {
  for (const auto& [name, tensor] : tensors) {
    if (!asked.count(name)) refuse("has " + what + name + ", which it was not asked for");
    Tensor before = order.state->at(name);
    const auto cut = cuts.find(name);
    if (cut != cuts.end()) before = before.narrow(cut->second.dim, 0, cut->second.kept);
    if (tensor.scalar_type() != before.scalar_type() || tensor.sizes() != before.sizes())
      refuse("has " + what + name + " as " + shape_text(tensor) + ", not " + shape_text(before));
  }
  for (const auto& name : asked)
    if (!tensors.count(name)) refuse("lacks " + what + name);
}

void check_weights(const ClientUpdate& update, const Order& order, const std::vector<Unit>& units) {
  const auto& work = std::get<TrainWork>(order.work);
  std::set<std::string> asked;
  for (const auto& unit : units) {
    if (std::find(order.units.begin(), order.units.end(), unit.name) == order.units.end()) continue;
    const auto names = state_of(unit);
    asked.insert(names.begin(), names.end());
  }
  for (const auto& name : work.frozen) asked.erase(name);
  if (update.pruned && work.pruning.cuts.empty())
    refuse("says that it has pruned its pairs, which it was not asked to");
  check_tensors(update.weights, asked, order, "the weight ",
                update.pruned ? work.pruning.cuts : FactorCuts());
  const auto remembered = remembered_weights(work, units, order.units);
  check_tensors(update.memory, {remembered.begin(), remembered.end()}, order, "a memory of ");
}

void check(const ClientUpdate& update, const Order& order, const Expected& expected) {
  const auto most = std::get<TrainWork>(order.work).steps(expected.train_samples);
  if (update.samples != expected.train_samples)
    refuse("says that it has " + std::to_string(update.samples) + " training samples, not " +
           std::to_string(expected.train_samples) + " as before");
  if (update.steps > most)
    refuse("says that it took " + std::to_string(update.steps) + " steps of at most " +
           std::to_string(most));
  if (!(update.seconds >= 0) || std::isinf(update.seconds))
    refuse("says that training took " + std::to_string(update.seconds) + " seconds");
  if (update.units != order.units) refuse("is of other units than the order");
  if (!update.failure.empty()) {
    if (!update.weights.empty() || !update.memory.empty())
      refuse("has weights, and says that there are none");
    return;
  }
  check_weights(update, order, expected.units);
}

void check(const tasks::ShownSlice& slice) {
  const auto is_side = [](std::int64_t side) { return side > 0 && side <= tasks::kLargestShown; };
  const auto& planes = slice.planes;
  if (planes.count != 3 || !is_side(planes.height) || !is_side(planes.width))
    refuse("has a slice of " + std::to_string(planes.count) + " planes of " +
           std::to_string(planes.height) + " x " + std::to_string(planes.width) +
           " pixels; there are three, of 1 to " + std::to_string(tasks::kLargestShown) +
           " pixels a side");
}

void check(const EvaluateResult& evaluation, const EvaluateWork& work) {
  for (const auto& [name, sum] : evaluation.tally) {
    if (!(sum.weight >= 0) || std::isinf(sum.weight))
      refuse("has " + name + " with a weight of " + std::to_string(sum.weight));
  }
  if (evaluation.right.size() != evaluation.majority.size())
    refuse("has " + std::to_string(evaluation.right.size()) + " answers to questions and " +
           std::to_string(evaluation.majority.size()) + " of the majority");
  if (!evaluation.slice) return;
  if (!work.slice) refuse("has a slice, which it was not asked for");
  check(*evaluation.slice);
}

}  // namespace

const Choices<Phase>& phases() {
  static const Choices<Phase> table({{Phase::kHello, "hello"},
                                     {Phase::kScore, "score"},
                                     {Phase::kTrain, "train"},
                                     {Phase::kEvaluate, "evaluate"}});
  return table;
}

std::int64_t TrainWork::steps(std::int64_t samples) const {
  const std::int64_t all = local.steps > 0
                               ? local.steps
                               : local.epochs * steps_per_epoch(samples, local.training.batch_size);
  // 0.29 · 100 is a little less than 29 as a double.
  return std::max<std::int64_t>(1,
                                static_cast<std::int64_t>(share * static_cast<double>(all) + 1e-6));
}

std::string Order::id() const {
  return sha256_hex(Json{run, round, phases().name(phase()), client, units, base}.dump());
}

std::string encode(const Order& order) {
  Writer out;
  out.text.update({{"message", "order"},
                   {"id", order.id()},
                   {"run", order.run},
                   {"round", order.round},
                   {"phase", phases().name(order.phase())},
                   {"client", order.client},
                   {"units", order.units},
                   {"base", order.base},
                   {"work", std::visit([](const auto& w) { return written(w); }, order.work)}});
  if (!order.ranks.empty()) out.text["ranks"] = order.ranks;
  if (order.experiment) out.text["experiment"] = *order.experiment;
  if (order.threads > 0) out.text["threads"] = order.threads;
  if (order.state) out.add(*order.state);
  if (const auto* work = std::get_if<TrainWork>(&order.work)) {
    out.add(work->memory, kMemory);
    out.add(work->control, kControl);
  } else if (const auto* evaluate = std::get_if<EvaluateWork>(&order.work)) {
    out.add(evaluate->companions, kMemory);
  }
  return out.bytes();
}

Order decode_order(std::string bytes) {
  Reader in(std::move(bytes), "order");
  in.text.choice("message", {"order"});
  Order order;
  const std::string id = in.text.text("id");
  order.run = in.text.text("run");
  order.round = static_cast<int>(in.text.integer("round", 0, std::numeric_limits<int>::max()));
  const Phase phase = phases().value(in.text.choice("phase", phases().names()));
  order.client = in.text.filled_text("client");
  order.units = in.text.texts("units");
  order.base = in.text.text("base");
  order.work = read_work(phase, in.text.object("work", true));
  auto ranks = in.text.object("ranks");
  for (const auto& unit : ranks.keys()) order.ranks[unit] = ranks.integer(unit, 0, kMost);
  if (in.text.has("experiment")) {
    order.experiment = std::make_shared<const std::string>(in.text.filled_text("experiment"));
    if (sha256_hex(*order.experiment) != order.run)
      in.text.fail("experiment", "is not the one that `run` is the SHA-256 of");
  }
  if (in.text.has("threads"))
    order.threads =
        static_cast<int>(in.text.integer("threads", 1, std::numeric_limits<int>::max()));
  if (phase != Phase::kHello) order.state = std::make_shared<const ModelState>(in.weights());
  if (auto* work = std::get_if<TrainWork>(&order.work)) {
    work->memory = in.weights(kMemory);
    work->control = in.weights(kControl);
  } else if (auto* evaluate = std::get_if<EvaluateWork>(&order.work)) {
    evaluate->companions = in.weights(kMemory);
  }
  in.finish();
  if (id != order.id()) in.text.fail("id", "is that of another order");
  return order;
}

std::string encode(const Reply& reply) {
  Writer out;
  out.text.update({{"message", "reply"}, {"order", reply.order}, {"client", reply.client}});
  if (reply.result.index() > 0)
    out.text["phase"] = phases().name(static_cast<Phase>(reply.result.index() - 1));
  if (!reply.failure.empty()) out.text["failed"] = reply.failure;
  std::visit([&](const auto& result) { write(out, result); }, reply.result);
  return out.bytes();
}

Reply decode_reply(std::string bytes) {
  Reader in(std::move(bytes), "reply");
  in.text.choice("message", {"reply"});
  Reply reply{in.text.filled_text("order"), in.text.filled_text("client")};
  if (in.text.has("phase")) {
    const Phase phase = phases().value(in.text.choice("phase", phases().names()));
    reply.result = read_result(in, phase, reply.client);
  } else if (in.text.has("failed")) {
    reply.failure = read_reason(in.text, "failed");
  }
  in.finish();
  return reply;
}

void check_reply(const Reply& reply, const Order& order, const Expected& expected) {
  if (reply.order != order.id()) refuse("is to another order");
  if (reply.client != order.client) refuse("is of client " + reply.client);
  if (!reply.failure.empty()) refuse("says that the client could not: " + reply.failure);
  if (reply.result.index() == 0) {
    if (order.phase() != Phase::kTrain || !(order.units.empty() || reply.late))
      refuse("has nothing of what was asked for");
    return;
  }
  const auto phase = static_cast<Phase>(reply.result.index() - 1);
  if (phase != order.phase())
    refuse("is of the phase " + phases().name(phase) + ", not " + phases().name(order.phase()));
  if (phase == Phase::kScore) check(std::get<ScoreResult>(reply.result), order);
  if (phase == Phase::kTrain) check(std::get<ClientUpdate>(reply.result), order, expected);
  if (phase == Phase::kEvaluate)
    check(std::get<EvaluateResult>(reply.result), std::get<EvaluateWork>(order.work));
}

}  // namespace strata::fedrunner
