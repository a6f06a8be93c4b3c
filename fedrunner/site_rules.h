#pragma once
/// \file
/// What a site's file lets a run do there (experiment/site_file.h).

#include <cstdint>
#include <vector>

#include "experiment/site_file.h"
#include "fedrunner/messages.h"
#include "strata/core/unit.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

/// The order's client, phase and metric, and that it is private where it must be, before anything
/// of the site is read. @throws InputError, one line that names the key of the site's file
void check_order(const experiment::SiteFile& site, const Order& order);

/// What the order has the client train beside the run's units that are `always` trained, within the
/// largest budget. `selectable` have their costs. @throws InputError likewise
void check_budget(const experiment::SiteFile& site, const Order& order,
                  const std::vector<Unit>& selectable);

/// That as many clients train each of the order's units as the site wants, by what the order says.
/// @throws InputError likewise
void check_cohorts(const experiment::SiteFile& site, const Order& order);

/// That a client of so many training examples scores and trains. @throws InputError likewise
void check_samples(const experiment::SiteFile& site, const Order& order,
                   std::int64_t train_samples);

/// Counts a release of the client's scores in the site's ledger, a line each, and writes the line
/// to the disk. Other processes that count at the same time wait. @throws InputError: there have
/// been as many as the site allows, or the ledger is none; WorkError: it cannot be written
void count_release(const experiment::SiteFile& site, const Order& order);

/// Counts the steps of an order to train of a client of so many training examples in the site's
/// ledger likewise. `score_noise` gives the noise multiplier of (ε, δ), for scores.
/// @throws InputError: the order is not private, or with it the client would spend more than the
/// site's ε; the ledger is none. WorkError: it cannot be written
void count_training(const experiment::SiteFile& site, const Order& order,
                    std::int64_t train_samples, const NoiseMultiplier& score_noise);

}  // namespace strata::fedrunner
