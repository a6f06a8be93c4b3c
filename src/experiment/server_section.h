#pragma once
/// \file
/// `run.server`: what the server does with the clients' updates.

#include <cstdint>

#include "core/choices.h"
#include "core/fields.h"

namespace strata::experiment {

/// How much a client counts in an average: by its training samples, or as much as any other.
enum class ClientWeights { kSamples, kPlain };
/// What becomes of LoRA pairs: one rule a file in fedrunner/lora_rules.
enum class LoraAverage {
  kFactors,
  kProduct,
  kFfa,
  kRolora,
  kFedsa,
  kFair,
  kFedex,
  kFlora,
  kHetlora
};
const Choices<LoraAverage>& lora_averages();
enum class ServerOptimizer { kAverage, kMomentum, kAdam };

struct AggregationOptions {
  ClientWeights weights = ClientWeights::kSamples;
  LoraAverage lora = LoraAverage::kFactors;
  double rank_decay = 1;    ///< γ of hetlora's self-pruning, in (0, 1]; 1: nobody prunes
  double rank_penalty = 0;  ///< its λ, ≥ 0
  ServerOptimizer optimizer = ServerOptimizer::kAverage;
  double learning_rate = 1;
  double beta_1 = 0.9;   ///< of momentum and adam
  double beta_2 = 0.99;  ///< of adam
  double tau = 1e-3;     ///< adam's degree of adaptivity, > 0
};

/// What clients and server do beside training the loss and averaging: one algorithm a file in
/// fedrunner/algorithms.
enum class FederatedAlgorithm { kFedavg, kScaffold, kFeddyn, kDitto, kFeddat };
const Choices<FederatedAlgorithm>& federated_algorithms();
/// Whether the algorithm is defined for local steps of SGD alone.
bool needs_sgd(FederatedAlgorithm algorithm);

struct AlgorithmOptions {
  FederatedAlgorithm algorithm = FederatedAlgorithm::kFedavg;
  double alpha = 0.01;  ///< of feddyn, > 0
  double lambda = 0.1;  ///< of ditto
  /// Of feddat: α and β, and T of both.
  double distill_local = 1, distill_shared = 1, temperature = 3;
};
/// As orders have them, and as a part of `run.server`.
const Fields<AlgorithmOptions>& algorithm_fields();

struct ServerConfig {
  AggregationOptions aggregation;
  std::int64_t min_clients = 1;  ///< with fewer usable updates the global model stays as it is
  double deadline = 0;  ///< seconds that an exchange waits for replies; 0: as long as it takes
  double outlier_ratio = 100;  ///< see refuse_updates (fedrunner/refusal.h)
  AlgorithmOptions algorithm;
};

/// Writes what says something: nothing for a server that averages.
const Fields<ServerConfig>& server_fields();

}  // namespace strata::experiment
