#pragma once
/// \file
/// What a server asks of its clients and what they answer. A message is one safetensors file: its
/// metadata has the key `strata` with one JSON text, tensors are what is large or must keep its
/// bits. Nothing in it can be executed, and Python reads it with two libraries.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/choices.h"
#include "experiment/local_section.h"
#include "experiment/server_section.h"
#include "models/torch.h"
#include "strata/core/unit.h"
#include "tasks/shown_slice.h"
#include "tasks/tally.h"

namespace strata::fedrunner {

using experiment::LocalConfig;

/// Weights by name.
using ModelState = std::map<std::string, torch::Tensor>;

/// A client's rank of the LoRA pairs in a unit, by the unit's name, ≥ 0 (client_ranks.h). A unit
/// that is not there has whole pairs, and so has a pair of that rank or less.
using UnitRanks = std::map<std::string, std::int64_t>;

/// What a client has of a factor of a pair: its first `kept` rows (dim 0) or columns (dim 1).
struct FactorCut {
  std::int64_t dim = 0, kept = 0;
};
/// By the factor's name; whole ones are not in it.
using FactorCuts = std::map<std::string, FactorCut>;

/// What a client is asked to prune of its pairs, if training leaves it smaller (rank_pruning.h).
struct PruningWork {
  double penalty = 0;    ///< λ
  FactorCuts cuts = {};  ///< what of them would be left; none: nothing is pruned
};

using tasks::Sum;
using tasks::Tally;

enum class Phase { kHello, kScore, kTrain, kEvaluate };
/// hello, score, train, evaluate.
const Choices<Phase>& phases();

/// Who are you? Asked of all units of the run: a client whose model lacks one says so at once.
struct HelloWork {};
/// The importance of each of the order's units.
struct ScoreWork {
  std::string metric;
  std::int64_t samples = 1;  ///< examples to score on, ≥ 1
  std::uint64_t seed = 0;
  std::vector<std::string> answers = {};  ///< see tasks::AnswerChoice
  std::int64_t top_answers = 8;           ///< likewise, ≥ 1
  std::int64_t random_outputs = 0;        ///< see tasks::segmentation_in_random_directions
};
/// Train the order's units and send their weights. An order without units asks for nothing: the
/// client takes part in the round by scoring and being evaluated.
struct TrainWork {
  LocalConfig local;  ///< with this round's learning rate
  std::uint64_t seed = 0;
  double share = 1;  ///< of the local steps that are done before the round ends, in [0, 1]
  /// Weights of the order's units that stay as they are in this round, and are not sent.
  std::vector<std::string> frozen = {};
  experiment::AlgorithmOptions algorithm = {};
  /// Weights of the order's units of which the client also trains second ones of its own, which it
  /// keeps (models::Companions).
  std::vector<std::string> companions = {};
  PruningWork pruning = {};
  /// How many clients train each of the order's units in this round, this one among them.
  std::map<std::string, std::int64_t> cohorts = {};
  /// Of its algorithm (fedrunner/algorithms): what the client remembered of weights when it last
  /// trained them, and what the server sends beside those of the order's units. What is not there
  /// is 0, or the weight as it is received.
  ModelState memory = {}, control = {};

  /// Local steps of a client with so many training samples: that share, rounded down, but one at
  /// least.
  std::int64_t steps(std::int64_t samples) const;
};
/// Measure the state on the client's test examples.
struct EvaluateWork {
  ModelState companions = {};  ///< that act beside it (models::Companions)
  bool slice = false;          ///< a slice of the test volumes is wanted, too
};

using Work = std::variant<HelloWork, ScoreWork, TrainWork, EvaluateWork>;

/// One task of one client. It says all that the answer depends on beside the client's own data, so
/// whoever answers it needs no memory of others, and a task that is done again gives the same bytes
/// (but for what is measured).
struct Order {
  std::string run;  ///< fingerprint of the run's configuration
  int round = 0;
  std::string client;
  std::vector<std::string> units;
  std::string base;  ///< fingerprint of the foundation, whose weights do not travel
  std::shared_ptr<const ModelState> state =
      nullptr;  ///< what is trained in the run; of hello: none
  Work work;
  UnitRanks ranks = {};  ///< to which the state's pairs are cut, and those that come back
  /// The run's configuration (config.yaml), of which `run` is the SHA-256: what a worker of another
  /// process makes its model, units and examples by. None: the client has them already.
  std::shared_ptr<const std::string> experiment = nullptr;
  /// LibTorch's, on which the last bits of results depend; 0: as many as the client has.
  int threads = 0;

  Phase phase() const { return static_cast<Phase>(work.index()); }
  /// SHA-256 (hexadecimal) of run, round, phase, client, units and base. A reply names it; of
  /// several replies to one task the first counts.
  std::string id() const;
};

struct HelloResult {
  std::int64_t train_samples = 0, test_samples = 0;
  bool synthetic = false;       ///< the data set was made by `strata data make`
  bool several_labels = false;  ///< an image may have any number of them
};
struct ScoreResult {
  std::vector<double> values;  ///< of the units, in their order, before normalisation
  /// Of a site that gives its scores noise (SiteFile::private_scores): standard deviation of this
  /// release's over the most that another data set can change (ntk/private_scores.h).
  std::optional<double> noise = {};
};
/// What a client sends after local training.
struct ClientUpdate {
  std::string client;
  std::int64_t samples = 0;        ///< training samples; ≥ 1
  std::int64_t steps = 1;          ///< local steps done
  std::vector<std::string> units;  ///< the units it trained
  ModelState weights;              ///< of exactly these units, without those that were frozen
  std::string failure;             ///< why there are no weights to use; empty: there are
  double train_loss = 0;
  double seconds = 0;
  std::optional<std::int64_t> peak_memory;  ///< bytes, where they could be measured
  ModelState memory = {};  ///< what it remembers of these weights, where its algorithm does
  bool pruned = false;     ///< its pairs are cut as PruningWork::cuts has them
};
struct EvaluateResult {
  Tally tally;                        ///< empty where the client has no test example
  std::vector<bool> right, majority;  ///< a test question each: of the model, and of the most
                                      ///< frequent training answer
  std::optional<tasks::ShownSlice> slice = {};  ///< where it was asked for, of a task that has some
};

/// Empty: nothing was asked for, nothing came, or the client could not (Reply::failure).
using Result = std::variant<std::monostate, HelloResult, ScoreResult, ClientUpdate, EvaluateResult>;

struct Reply {
  std::string order;  ///< its id
  std::string client;
  Result result = {};
  bool late = false;  ///< the courier's word, not the client's: the round did not wait for the rest
  /// Why the client has no result: its site does not allow it, or it could not; one line. Empty:
  /// there is one, or nothing was asked for. (A training that does not stay finite is a result.)
  std::string failure = {};
};

/// A message's bytes, and the message again, bit for bit: 64-bit numbers, NaN and tensors included.
/// `late` does not travel. @throws InputError, one line: no safetensors, another version, a missing
/// or unknown key, a value of another type or out of range, a tensor that has no place in the
/// message, or of another type or shape than its place has.
std::string encode(const Order& order);
Order decode_order(std::string bytes);
std::string encode(const Reply& reply);
/// A reply comes from outside and is read as such; whether it answers an order, `check_reply` says.
Reply decode_reply(std::string bytes);

/// What a server knows of its client and of the run.
struct Expected {
  const std::vector<Unit>& units;  ///< the run's
  std::int64_t train_samples = 0;  ///< as the client said at hello
};

/// Whether the server can use the reply: it names the order and its client, has no failure but what
/// the phase asks for, a finite number ≥ 0 for every unit that was to be scored, exactly the
/// weights of the units that were to be trained in the shapes (those of its ranks, or of what it
/// was to prune them to) and types of the order's state, and of these what the order's algorithm
/// remembers, or none and the reason. It claims neither other samples than before nor more steps
/// than were ordered, as both weigh in the round. @throws InputError, one line without the names of
/// round and client.
void check_reply(const Reply& reply, const Order& order, const Expected& expected);

}  // namespace strata::fedrunner
