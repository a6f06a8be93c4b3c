#pragma once
/// \file
/// A run's metrics as TensorBoard reads them: an event file of scalars by round. LibTorch-free.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "strata/fedrunner/metrics.h"

namespace strata::fedrunner {

/// In the run's folder. TensorBoard takes every file with "tfevents" in its name, and names the run
/// after the folder.
inline constexpr const char* kEventFile = "events.out.tfevents.0000000000.strata";

/// CRC-32C (Castagnoli), as RFC 3720, B.4 has it: polynomial 0x1EDC6F41, reflected, inverted before
/// and after. O(bytes).
std::uint32_t crc32c(std::string_view bytes);

/// The event file of a table: TFRecords (length, its masked CRC-32C, an Event of protobuf, its
/// masked CRC-32C), first the version "brain.Event:2", then one Event a round, whose step is the
/// round. Its Summary has a scalar (simple_value, float32) for every value that is there:
/// - METRIC/CLIENT for the task's metrics, and train_loss, test_loss, up_mbit and down_mbit, of
///   every client, "all" and "mean";
/// - plan/importance and plan/usage_variance, of the round's plan.
/// Nothing in it is measured: what metrics.csv has of seconds and memory is left out, and an
/// event's wall time is the round, in seconds after 1970, so that equal runs have equal files.
/// O(rows · columns).
/// \code
/// RoundMetrics row;
/// row.client = "ct";
/// row.values = {0.5};
/// const std::string events = event_file({{"accuracy"}, {row}});
/// assert(events.find("brain.Event:2") != std::string::npos);
/// assert(events.find("accuracy/ct") != std::string::npos);
/// assert(crc32c("123456789") == 0xE3069283);
/// \endcode
std::string event_file(const RoundTable& table);

/// Writes it to `folder`/kEventFile. What the file has already stays, and new rounds are appended,
/// which is how TensorBoard follows a run; a file that is not the table's beginning is replaced.
/// A process that is killed leaves a part of the last record at worst, which TensorBoard waits with
/// and the next call completes. @throws WorkError
void write_events(const RoundTable& table, const std::filesystem::path& folder);

}  // namespace strata::fedrunner
