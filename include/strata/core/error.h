#pragma once
/// \file
/// Errors as a user sees them: one line, and an exit code.

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata {

/// Process exit codes: 0 done, 1 failed while working, 2 wrong input or usage.
enum ExitCode : int { kExitDone = 0, kExitFailed = 1, kExitWrongInput = 2 };

/// Wrong input or usage (exit code 2). `what()` is one line that names the file and the line or
/// key, what was found, and what is allowed.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Something failed while working on correct input: a full disk, a lost device (exit code 1).
class WorkError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The name in `allowed` closest to `found` by optimal-string-alignment distance (insertions,
/// deletions, substitutions, adjacent transpositions; case ignored), or "" if none is within max(2,
/// length(found) / 3) edits. Ties go to the first.
std::string nearest_name(std::string_view found, const std::vector<std::string>& allowed);

/// ` (did you mean "X"?)`, or "" when nothing is near.
std::string did_you_mean(std::string_view found, const std::vector<std::string>& allowed);

/// The names quoted and separated by commas; at most `limit` of them, then "… (N in all)".
std::string quoted_list(const std::vector<std::string>& names, std::size_t limit = 12);

/// @throws InputError `OPTION: unknown name "FOUND" (did you mean "X"?); allowed: …` unless `found`
/// is among `allowed`.
/// \code
/// try {
///   require_name("--metric", "lnkt", {"lntk", "trace"});
/// } catch (const InputError& error) {
///   // --metric: unknown name "lnkt" (did you mean "lntk"?); allowed: …
///   std::cerr << error.what();
///   assert(nearest_name("lnkt", {"lntk", "trace"}) == "lntk");
/// }
/// \endcode
void require_name(const std::string& option, const std::string& found,
                  const std::vector<std::string>& allowed);

/// Calls `action` and returns what it returns. What it throws as InputError or WorkError is thrown
/// again with `context`, such as a file or a client, and ": " before its message.
/// \code
/// try {
///   with_context("problem.yaml", [] { throw InputError("coverage: found −1"); });
/// } catch (const InputError& error) {
///   assert(error.what() == std::string("problem.yaml: coverage: found −1"));
/// }
/// \endcode
template <typename Action>
decltype(auto) with_context(const std::string& context, Action&& action) {
  try {
    return std::forward<Action>(action)();
  } catch (const InputError& error) {
    throw InputError(context + ": " + error.what());
  } catch (const WorkError& error) {
    throw WorkError(context + ": " + error.what());
  }
}

}  // namespace strata
