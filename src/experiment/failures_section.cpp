#include "experiment/failures_section.h"

namespace strata::experiment {

const Fields<FailureOptions>& failure_fields() {
  using Options = FailureOptions;
  static const auto has_stragglers = [](const Options& options) { return options.stragglers > 0; };
  const Choices<Late> late({{Late::kDrop, "drop"}, {Late::kPartial, "partial"}});
  static const Fields<Options> fields({
      field("dropout", &Options::dropout, number(0, 1),
            "simulated: the probability that a client gets the round's model and is never heard of "
            "again")
          .written_if_changed(),
      field("stragglers", &Options::stragglers, number(0, 1),
            "the probability that a client has done only a share of its local steps when the round "
            "ends")
          .written_if_changed(),
      field("straggler_share", &Options::straggler_share, number(0, 1), "that share")
          .written_if(has_stragglers),
      field("late", &Options::late, choice(late),
            "a straggler's update is not used, or with `partial` it is (FedProx)")
          .written_if(has_stragglers),
      field("corruption", &Options::corruption, number(0, 1),
            "the probability that an update arrives spoiled: not a number, or a thousand times too "
            "far")
          .written_if_changed(),
  });
  return fields;
}

}  // namespace strata::experiment
