#pragma once
/// \file
/// Who holds which examples: data sets into clients.

#include <cstdint>
#include <string>
#include <vector>

#include "core/choices.h"
#include "data/manifest.h"

namespace strata::data {

struct ClientExamples {
  std::string name;
  std::vector<int> train, test;  ///< indices into the manifest's examples, ascending
};

/// What stands in for the test examples.
enum class EvaluateOn {
  kTest,
  kValidation,  ///< a share of each client's training examples, which are not trained on then
};
const Choices<EvaluateOn>& evaluation_splits();

enum class PartitionScheme { kModality, kDataset, kIid, kDirichlet, kFesvibs };
const Choices<PartitionScheme>& partition_schemes();
/// Whether the scheme takes any number of clients; that of the others is in the data.
bool is_counted(PartitionScheme scheme);

struct PartitionOptions {
  PartitionScheme scheme = PartitionScheme::kModality;  ///< modality: the manifest's client
  int clients = 0;                                      ///< for iid and dirichlet
  double alpha = 0.3;  ///< Dirichlet concentration over first answers
  /// Share of the *training images* held by no client, for pretraining.
  double public_fraction = 0;
  /// Share of each client's training examples that it keeps (data/fraction.h), above 0.
  double fraction = 1;
  /// Share of what a client has for training that kValidation holds out (hold_out), above 0 and
  /// below 1.
  double validation = 0.2;
  EvaluateOn evaluate_on = EvaluateOn::kTest;
  std::uint64_t seed = 1;
};

struct Partition {
  std::vector<ClientExamples> clients;
  std::vector<int> public_train;  ///< examples of the public images
};

/// All questions on one image stay together under `modality`, `dataset` and `iid`, as do all
/// training questions on a public image; `dirichlet` draws, for every answer or class (target_of),
/// the clients' shares of its examples from Dirichlet(α) (Hsu et al. 2019) and so splits questions.
/// Where images have several labels the first of the classes' order counts, and those without a
/// label are a group of their own, so that there are not more groups than classes and one. Test
/// examples follow the same scheme (under dirichlet, with the training shares of their answer or
/// class). `fesvibs` deals the same way with fixed shares, to six clients (see partition.cpp). Of
/// what a client gets for training, `fraction` is kept, of which `evaluate_on: validation` makes a
/// share the client's test in place of its own; one with a single image, lesion or patient has none
/// then. Every client gets at least one training example, or it is an error. Deterministic in
/// `seed`. @throws InputError
Partition make_partition(const Manifest& manifest, const PartitionOptions& options);

/// client | train | test | images | answers or classes (the commonest, with the shares of examples
/// that have them, "(none)" for images without a label): as printed by the CLI.
std::string partition_table(const Manifest& manifest, const Partition& partition);

}  // namespace strata::data
