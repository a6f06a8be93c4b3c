#pragma once
/// \file
/// site.yaml: what a site of a consortium has, and what it lets a run do with it
/// (docs/consortium.md). The site's own people write it; no order can change it.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/budget.h"
#include "core/fields.h"

namespace strata::experiment {

/// Scores leave the site with noise alone (ntk/private_scores.h).
struct SitePrivacy {
  double epsilon = 0;  ///< of all releases of a client together, > 0
  double delta = 1e-5;
  std::int64_t releases = 1;  ///< of each client; no more leave the site
  std::string ledger;         ///< the file that counts them
};

/// Weights leave the site after private steps alone (docs/private_training.md).
struct SiteTraining {
  double epsilon = 0;  ///< of all steps of a client and all releases of its scores together, > 0
  double delta = 1e-5;
  std::string ledger;  ///< the file that counts them
};

struct SiteFile {
  std::string file;                       ///< its path, to begin messages with
  std::string data, model;                ///< folders, from the file's own
  std::vector<std::string> clients = {};  ///< that are answered for; empty: all that the data has
  std::vector<std::string> phases = {};   ///< empty: all
  std::vector<std::string> metrics = {};  ///< of scores; empty: all
  std::optional<Budget> budget = {};      ///< the largest that a plan may spend here
  std::int64_t least_samples = 1;         ///< training examples, below which a client does nothing
  std::int64_t least_cohort = 1;          ///< clients that train a unit which is trained here
  std::optional<SitePrivacy> private_scores = {};
  std::optional<SiteTraining> private_training = {};
};

/// `phases` are the names that there are, `metrics` likewise. @throws InputError with file, line
/// and key
SiteFile read_site_file(const std::filesystem::path& file, const std::vector<std::string>& phases,
                        const std::vector<std::string>& metrics);

/// Its keys in Markdown: what docs/consortium.md holds.
std::string documented_site_keys();

}  // namespace strata::experiment
