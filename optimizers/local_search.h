#pragma once
/// \file
/// Better assignments from those of a front, client by client and pair by pair. Internal.

#include <cstdint>

#include "optimizers/front_archive.h"
#include "optimizers/unit_state.h"

namespace strata::optimizers {

/// Pareto local search (Paquete, Chiarandini & Stützle 2004) for two objectives: looks at
/// everything that one move leads to from an entry of the archive, and keeps what is nondominated.
/// A move is a unit that a client adds, drops or exchanges; or two of those by two clients where
/// the second client takes the unit that the first one gave up, or gives up the one that it took.
/// The second kind is followed only where the first move alone loses less than `reach` of what the
/// front's slope there says it is worth.
///
/// Entries are taken evenly over the front until nothing new is found, `moves` are tried or the
/// archive holds `most` entries. Deterministic. O(log entries) a move.
void local_search(const LayerModel& model, FrontArchive& archive, double reach, std::int64_t moves,
                  std::size_t most);

/// Goes from one assignment to another client by client, taking of some next clients the one whose
/// new row gains most at the slope between the two, and keeps what is nondominated of up to
/// `points` assignments on the way. As importance is additive over clients and usage variance
/// convex, they lie on or above the chord but for the rounding of steps. Rows whose exchange would
/// break coverage come when they can. O(clients · units).
void link(const LayerModel& model, FrontArchive& archive, const Assignment& from,
          const Assignment& to, int points);

}  // namespace strata::optimizers
