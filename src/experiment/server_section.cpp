#include "experiment/server_section.h"

namespace strata::experiment {
namespace {

using Options = AggregationOptions;

bool is_adam(const Options& options) {
  return options.optimizer == ServerOptimizer::kAdam;
}

bool has_momentum(const Options& options) {
  return options.optimizer != ServerOptimizer::kAverage;
}

const Fields<Options>& aggregation_fields() {
  const Choices<ClientWeights> weights(
      {{ClientWeights::kSamples, "samples"}, {ClientWeights::kPlain, "plain"}});
  const Choices<LoraAverage> lora(
      {{LoraAverage::kFactors, "factors"}, {LoraAverage::kProduct, "product"}});
  const Choices<ServerOptimizer> optimizers({{ServerOptimizer::kAverage, "average"},
                                             {ServerOptimizer::kMomentum, "momentum"},
                                             {ServerOptimizer::kAdam, "adam"}});
  static const Fields<Options> fields({
      field("weights", &Options::weights, choice(weights),
            "of the clients in an average: their training `samples`, or `plain`: all the same")
          .written_if_changed(),
      field("lora", &Options::lora, choice(lora),
            "LoRA's A and B averaged apart, or `product`: the average of B A, factored anew by "
            "SVD; only with `average` and learning rate 1")
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

void complete_server(ObjectReader& reader, ServerConfig& server) {
  const Options& options = server.aggregation;
  const bool plain_average = !has_momentum(options) && options.learning_rate == 1;
  if (options.lora == LoraAverage::kProduct && !plain_average)
    reader.fail("lora", "product goes with optimizer average and learning_rate 1 alone");
  if (server.outlier_ratio > 0 && server.outlier_ratio <= 1)
    reader.fail("outlier_ratio", "a number above 1 was expected, or 0 for no check");
}

}  // namespace

const Fields<ServerConfig>& server_fields() {
  const auto aggregation = [](const char* key) {
    return aggregation_fields().at(key).within(&ServerConfig::aggregation);
  };
  static const Fields<ServerConfig> fields(
      {
          aggregation("weights"),
          aggregation("lora"),
          aggregation("optimizer"),
          aggregation("learning_rate"),
          aggregation("beta_1"),
          aggregation("beta_2"),
          aggregation("tau"),
          field("min_clients", &ServerConfig::min_clients, whole(1),
                "with fewer usable updates in a round the global model stays as it is, with a "
                "warning")
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
