#include "fedrunner/pump.h"

#include <istream>
#include <optional>
#include <ostream>
#include <set>
#include <system_error>
#include <utility>

#include "core/console.h"
#include "core/document.h"
#include "models/torch.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

constexpr int kLineVersion = 1;
const std::string kExchange = "exchange-";
/// Texts, losses, scores, and answers to test questions.
constexpr std::uintmax_t kRest = std::uintmax_t{64} << 20;

std::string numbered(std::int64_t number, int digits) {
  const std::string text = std::to_string(number);
  return std::string(
             static_cast<std::size_t>(std::max<int>(0, digits - static_cast<int>(text.size()))),
             '0') +
         text;
}

bool is_exchange(const std::filesystem::path& path) {
  return path.filename().string().rfind(kExchange, 0) == 0;
}

void remove_exchanges(const std::filesystem::path& mailbox) {
  for (const auto& entry : std::filesystem::directory_iterator(mailbox))
    if (is_exchange(entry.path())) std::filesystem::remove_all(entry.path());
}

std::uintmax_t bytes_of(const ModelState& weights) {
  std::uintmax_t bytes = 0;
  for (const auto& [name, weight] : weights)
    bytes += weight.nbytes() + name.size() + 256;  // and its place in the header
  return bytes;
}

/// The clients that an answer names.
std::set<std::string> missing_in(const std::string& line) {
  const Document document = parse_json(line, "the pump's answer");
  ObjectReader reader(document);
  const auto missing = reader.texts("missing", std::vector<std::string>());
  reader.finish();
  return {missing.begin(), missing.end()};
}

}  // namespace

std::uintmax_t largest_reply(const Order& order) {
  std::uintmax_t bytes = kRest;
  if (order.state) bytes += 3 * bytes_of(*order.state);  // weights, and two memories of each
  return bytes;
}

Pump::Pump(std::filesystem::path mailbox, std::ostream& lines_out, std::istream& lines_in)
    : mailbox_(std::filesystem::absolute(std::move(mailbox))), out_(lines_out), in_(lines_in) {
  std::filesystem::create_directories(mailbox_);
  for (const auto& entry : std::filesystem::directory_iterator(mailbox_)) {
    if (!is_exchange(entry.path()))
      throw InputError(mailbox_.string() + ": a mailbox holds the files of exchanges alone, and " +
                       entry.path().filename().string() + " is none");
  }
  remove_exchanges(mailbox_);
}

std::filesystem::path Pump::folder() const {
  return mailbox_ / (kExchange + numbered(number_, 6));
}

Reply Pump::read_reply(const std::filesystem::path& file, const Order& order) const {
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(file)))
    throw InputError("the reply is no plain file");
  const auto size = std::filesystem::file_size(file);
  if (size > largest_reply(order))
    throw InputError("the reply has " + std::to_string(size) + " bytes, where " +
                     std::to_string(largest_reply(order)) + " are the most that it could need");
  Reply reply = decode_reply(read_file(file));
  if (reply.order != order.id())
    throw InputError("the reply is to another order, of another run, round, unit list or base");
  if (reply.client != order.client) throw InputError("the reply is of client " + reply.client);
  return reply;
}

std::vector<Reply> Pump::exchange(const std::vector<Order>& orders, Deadline deadline,
                                  const Answered& answered) {
  std::vector<Reply> replies;
  if (orders.empty()) return replies;
  remove_exchanges(mailbox_);
  ++number_;
  std::filesystem::create_directories(folder());
  Json tasks = Json::array();
  std::vector<std::filesystem::path> places;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const std::string name = numbered(static_cast<std::int64_t>(i), 5);
    const auto order = folder() / (name + ".order");
    places.push_back(folder() / (name + ".reply"));
    write_file(order, encode(orders[i]));
    tasks.push_back({{"client", orders[i].client},
                     {"round", orders[i].round},
                     {"phase", phases().name(orders[i].phase())},
                     {"order", order.string()},
                     {"reply", places.back().string()}});
  }
  Json line{{"version", kLineVersion}, {"exchange", number_}};
  line["deadline"] = deadline ? Json(static_cast<double>(deadline->count()) / 1000) : Json();
  line["tasks"] = std::move(tasks);
  out_ << line.dump() << std::endl;

  std::string text;
  if (!std::getline(in_, text))
    throw WorkError("exchange " + std::to_string(number_) +
                    ": the pump's driver has gone without an answer");
  const auto missing = missing_in(text);
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (answered) answered(orders[i]);
    if (missing.count(orders[i].client) || !std::filesystem::exists(places[i])) continue;
    try {
      replies.push_back(read_reply(places[i], orders[i]));
    } catch (const InputError& error) {
      log_warning("round " + std::to_string(orders[i].round) + ", client " + orders[i].client +
                  ": the reply to the order \"" + phases().name(orders[i].phase()) +
                  "\" is refused: " + error.what());
    }
  }
  remove_exchanges(mailbox_);
  return replies;
}

}  // namespace strata::fedrunner
