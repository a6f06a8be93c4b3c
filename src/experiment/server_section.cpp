#include "experiment/server_section.h"

#include <algorithm>
#include <string>
#include <vector>

namespace strata::experiment {
namespace {

using Options = AggregationOptions;

bool is_adam(const Options& options) {
  return options.optimizer == ServerOptimizer::kAdam;
}

bool is_feddyn(const AlgorithmOptions& options) {
  return options.algorithm == FederatedAlgorithm::kFeddyn;
}

bool is_ditto(const AlgorithmOptions& options) {
  return options.algorithm == FederatedAlgorithm::kDitto;
}

bool is_feddat(const AlgorithmOptions& options) {
  return options.algorithm == FederatedAlgorithm::kFeddat;
}

bool has_momentum(const Options& options) {
  return options.optimizer != ServerOptimizer::kAverage;
}

/// Rules that make other weights than averages, with which no optimizer can go on.
const std::vector<LoraAverage> kOnlyPlain = {LoraAverage::kProduct, LoraAverage::kFair,
                                             LoraAverage::kFedex, LoraAverage::kFlora,
                                             LoraAverage::kHetlora};

bool only_plain(LoraAverage rule) {
  return std::find(kOnlyPlain.begin(), kOnlyPlain.end(), rule) != kOnlyPlain.end();
}

/// "`product`", "`product` and `fair`".
std::string only_plain_names() {
  std::string names;
  for (std::size_t i = 0; i < kOnlyPlain.size(); ++i) {
    if (i > 0) names += i + 1 == kOnlyPlain.size() ? " and " : ", ";
    names += "`" + lora_averages().name(kOnlyPlain[i]) + "`";
  }
  return names;
}

const Fields<Options>& aggregation_fields() {
  const Choices<ClientWeights> weights(
      {{ClientWeights::kSamples, "samples"}, {ClientWeights::kPlain, "plain"}});
  const Choices<ServerOptimizer> optimizers({{ServerOptimizer::kAverage, "average"},
                                             {ServerOptimizer::kMomentum, "momentum"},
                                             {ServerOptimizer::kAdam, "adam"}});
  static const Fields<Options> fields({
      field("weights", &Options::weights, choice(weights),
            "of the clients in an average: their training `samples`, or `plain`: all the same")
          .written_if_changed(),
      field("lora", &Options::lora, choice(lora_averages()),
            "what of LoRA's pairs is trained, sent and averaged, and how: [below](#lora-rules); " +
                only_plain_names() + " only with `average` and learning rate 1")
          .written_if_changed(),
      field("rank_decay", &Options::rank_decay, number(0.01, 1),
            "γ of `hetlora`: a client whose last ranks, from γ times its rank on, have shrunk in "
            "training goes on without them: [below](#ranks); 1: nobody does")
          .written_if_changed(),
      field("rank_penalty", &Options::rank_penalty, number(0, 1e6),
            "λ of `hetlora`: how much clients' losses hold these ranks small")
          .written_if_changed(),
      field("optimizer", &Options::optimizer, choice(optimizers),
            "what becomes of the average: `average` (FedAvg), `momentum` (FedAvgM), `adam` "
            "(FedAdam); equations in `fedrunner/aggregation.h`")
          .written_if_changed(),
      // An average's natural step is 1; adam's has the size of the learning rate itself.
      field("learning_rate", &Options::learning_rate, number(0, 1000), "1 takes the average itself")
          .required_if(is_adam, "`1`; required for `adam`")
          .written_if([](const Options& options) {
            return is_adam(options) || options.learning_rate != Options{}.learning_rate;
          }),
      field("beta_1", &Options::beta_1, number(0, 1), "of `momentum` and `adam`")
          .written_if(has_momentum),
      field("beta_2", &Options::beta_2, number(0, 1), "of `adam`").written_if(is_adam),
      field("tau", &Options::tau, number(1e-12, 1e6), "of `adam`: small adapts more")
          .written_if(is_adam),
  });
  return fields;
}

void check_algorithm(ObjectReader& reader, const ServerConfig& server, bool plain_average) {
  const FederatedAlgorithm algorithm = server.algorithm.algorithm;
  if (algorithm == FederatedAlgorithm::kFedavg) return;
  const std::string name = federated_algorithms().name(algorithm);
  if (is_feddyn(server.algorithm) && !plain_average)
    reader.fail("algorithm", name + " goes with optimizer average and learning_rate 1 alone");
  const LoraAverage lora = server.aggregation.lora;
  if (only_plain(lora))
    reader.fail("algorithm", name +
                                 " goes with rules of LoRA pairs that average what is sent, and " +
                                 lora_averages().name(lora) + " does not");
}

void complete_server(ObjectReader& reader, ServerConfig& server) {
  const Options& options = server.aggregation;
  const bool plain_average = !has_momentum(options) && options.learning_rate == 1;
  check_algorithm(reader, server, plain_average);
  if (only_plain(options.lora) && !plain_average)
    reader.fail("lora", lora_averages().name(options.lora) +
                            " goes with optimizer average and learning_rate 1 alone");
  if (options.rank_decay < 1 && options.lora != LoraAverage::kHetlora)
    reader.fail("rank_decay", "ranks are pruned with lora hetlora alone, found " +
                                  lora_averages().name(options.lora));
  if (options.rank_penalty > 0 && options.rank_decay == 1)
    reader.fail("rank_penalty", "it is of ranks that may go; without rank_decay none does");
  if (server.outlier_ratio > 0 && server.outlier_ratio <= 1)
    reader.fail("outlier_ratio", "a number above 1 was expected, or 0 for no check");
}

}  // namespace

const Choices<LoraAverage>& lora_averages() {
  static const Choices<LoraAverage> choices({{LoraAverage::kFactors, "factors"},
                                             {LoraAverage::kProduct, "product"},
                                             {LoraAverage::kFfa, "ffa"},
                                             {LoraAverage::kRolora, "rolora"},
                                             {LoraAverage::kFedsa, "fedsa"},
                                             {LoraAverage::kFair, "fair"},
                                             {LoraAverage::kFedex, "fedex"},
                                             {LoraAverage::kFlora, "flora"},
                                             {LoraAverage::kHetlora, "hetlora"}});
  return choices;
}

const Choices<FederatedAlgorithm>& federated_algorithms() {
  static const Choices<FederatedAlgorithm> choices({{FederatedAlgorithm::kFedavg, "fedavg"},
                                                    {FederatedAlgorithm::kScaffold, "scaffold"},
                                                    {FederatedAlgorithm::kFeddyn, "feddyn"},
                                                    {FederatedAlgorithm::kDitto, "ditto"},
                                                    {FederatedAlgorithm::kFeddat, "feddat"}});
  return choices;
}

bool needs_sgd(FederatedAlgorithm algorithm) {
  return algorithm == FederatedAlgorithm::kScaffold;
}

const Fields<AlgorithmOptions>& algorithm_fields() {
  using Algorithm = AlgorithmOptions;
  static const Fields<Algorithm> fields({
      field("algorithm", &Algorithm::algorithm, choice(federated_algorithms()),
            "what clients and server do beside training and averaging: [below](#algorithms); "
            "`scaffold` only with `local.optimizer: sgd`, `feddyn` only with `average` and "
            "learning rate 1, `feddat` only with adapters")
          .written_if_changed(),
      field("alpha", &Algorithm::alpha, number(1e-9, 1e6), "α of `feddyn`").written_if(is_feddyn),
      field("lambda", &Algorithm::lambda, number(0, 1e6),
            "λ of `ditto`: how much a client's own model is held to the global one; 0: not at all")
          .written_if(is_ditto),
      field("distill_local", &Algorithm::distill_local, number(0, 1e6),
            "α of `feddat`: how much a client's own adapters learn of what the shared ones say")
          .written_if(is_feddat),
      field("distill_shared", &Algorithm::distill_shared, number(0, 1e6),
            "β of `feddat`: how much the shared adapters learn of what the teacher says, which "
            "has both")
          .written_if(is_feddat),
      field("temperature", &Algorithm::temperature, number(1e-3, 1e3),
            "T of `feddat`, by which logits are divided before they are compared")
          .written_if(is_feddat),
  });
  return fields;
}

const Fields<ServerConfig>& server_fields() {
  const auto algorithm = [](const char* key) {
    return algorithm_fields().at(key).within(&ServerConfig::algorithm);
  };
  const auto aggregation = [](const char* key) {
    return aggregation_fields().at(key).within(&ServerConfig::aggregation);
  };
  static const Fields<ServerConfig> fields(
      {
          algorithm("algorithm"),
          algorithm("alpha"),
          algorithm("lambda"),
          algorithm("distill_local"),
          algorithm("distill_shared"),
          algorithm("temperature"),
          aggregation("weights"),
          aggregation("lora"),
          aggregation("rank_decay"),
          aggregation("rank_penalty"),
          aggregation("optimizer"),
          aggregation("learning_rate"),
          aggregation("beta_1"),
          aggregation("beta_2"),
          aggregation("tau"),
          field("min_clients", &ServerConfig::min_clients, whole(1),
                "with fewer usable updates in a round the global model stays as it is, with a "
                "warning")
              .written_if_changed(),
          field(
              "deadline", &ServerConfig::deadline, number(0, 1e7),
              "seconds that the server waits for clients that are not threads of its own: whoever "
              "has not answered by then is out of the round ([consortium.md](consortium.md)); 0: "
              "it waits")
              .written_if_changed(),
          field("outlier_ratio", &ServerConfig::outlier_ratio, number(0),
                "an update whose change per weight and local step is more than so many times the "
                "median of the round's (three at least) is refused; 0: none is, above 1 otherwise")
              .written_if_changed(),
      },
      complete_server);
  return fields;
}

}  // namespace strata::experiment
