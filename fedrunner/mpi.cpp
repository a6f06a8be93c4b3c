// The C interface of MPI 3.1: every cluster's own has it.
#include "fedrunner/mpi.h"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/console.h"
#include "core/interrupt.h"
#include "fedrunner/hosting.h"
#include "models/torch.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

enum Tag : int { kOrder = 1, kReply = 2, kEnd = 3 };
constexpr std::size_t kChunk = std::size_t{1} << 30;  // counts are ints
constexpr auto kPause = std::chrono::milliseconds(1);

/// A message on its way, which a rank that hangs may never take: its destruction waits until it
/// has.
class Sending {
 public:
  Sending(int to, Tag tag, std::string bytes) : bytes_(std::move(bytes)), size_(bytes_.size()) {
    begin(&size_, 1, MPI_UINT64_T, to, tag);
    for (std::size_t at = 0; at < bytes_.size(); at += kChunk)
      begin(bytes_.data() + at, static_cast<int>(std::min(kChunk, bytes_.size() - at)), MPI_BYTE,
            to, tag);
  }
  ~Sending() {
    MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
  }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

 private:
  void begin(const void* from, int count, MPI_Datatype type, int to, Tag tag) {
    MPI_Isend(from, count, type, to, tag, MPI_COMM_WORLD, &requests_.emplace_back());
  }

  const std::string bytes_;
  const std::uint64_t size_;
  std::vector<MPI_Request> requests_;
};

/// MPI from its start to its end.
class Job {
 public:
  static Job& get() {
    static Job job;
    return job;
  }

  int rank() const { return rank_; }
  int size() const { return size_; }

  /// Among the ranks of this machine that host clients.
  int place() const { return place_; }

  void send(int to, Tag tag, std::string bytes) const { Sending(to, tag, std::move(bytes)); }
  std::string receive(int from, int tag) const {
    std::uint64_t size = 0;
    MPI_Recv(&size, 1, MPI_UINT64_T, from, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    std::string bytes(size, '\0');
    for (std::size_t at = 0; at < bytes.size(); at += kChunk) {
      const auto count = static_cast<int>(std::min(kChunk, bytes.size() - at));
      MPI_Recv(bytes.data() + at, count, MPI_BYTE, from, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    return bytes;
  }
  /// Who has sent what, if anybody has. A blocking receive would keep a core busy as it waits.
  std::optional<std::pair<int, int>> waiting() const {
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
    if (!there) return std::nullopt;
    return std::pair(status.MPI_SOURCE, status.MPI_TAG);
  }
  void finish() {
    if (!std::exchange(running_, false)) return;
    MPI_Finalize();
  }
  /// Ends all processes of the job, one of which does not answer.
  [[noreturn]] void abort() {
    MPI_Abort(MPI_COMM_WORLD, 1);
    std::abort();
  }

 private:
  Job() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    if (size_ < 2) {
      finish();
      throw InputError(
          "--courier mpi: the job has a single process, and rank 0 hosts no client; start at least "
          "two, as in mpirun -np 2 strata run …");
    }
    MPI_Comm workers = MPI_COMM_NULL, here = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, rank_ == 0 ? 0 : 1, rank_, &workers);
    MPI_Comm_split_type(workers, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
    MPI_Comm_rank(here, &place_);
    MPI_Comm_free(&here);
    MPI_Comm_free(&workers);
  }

  int rank_ = 0, size_ = 1, place_ = 0;
  bool running_ = true;
};

class RankCourier : public Courier {
 public:
  RankCourier()
      : job_(Job::get()), ranks_(static_cast<std::size_t>(job_.size())), hosting_(ranks_.size()) {}
  ~RankCourier() override {
    for (int rank = 1; rank < job_.size(); ++rank) job_.send(rank, kEnd, "");
    drain();
    job_.finish();
  }

  bool remote() const override { return true; }

  void expect(const std::map<std::string, std::int64_t>& loads) override { hosting_.expect(loads); }

  std::vector<Reply> exchange(const std::vector<Order>& orders, Deadline deadline,
                              const Answered& answered) override {
    const auto began = std::chrono::steady_clock::now();
    deadline_ = deadline;
    std::vector<Reply> replies;
    std::size_t open = orders.size();
    for (auto& rank : ranks_) rank.queue.clear();
    for (const auto& order : orders) ranks_[hosting_.rank_of(order.client)].queue.push_back(&order);
    while (open > 0) {
      send_next();
      if (const auto reply = receive()) {
        const bool expected = reply->first != nullptr;
        if (expected) --open;
        if (expected && answered) answered(*reply->first);
        if (reply->second) replies.push_back(std::move(*reply->second));
        continue;
      }
      stop_if_interrupted();
      if (deadline && std::chrono::steady_clock::now() - began > *deadline) break;
      std::this_thread::sleep_for(kPause);
    }
    for (auto& rank : ranks_) rank.at_work = nullptr;  // what comes now is late
    return replies;
  }

 private:
  struct Rank {
    std::deque<const Order*> queue;
    bool busy = false;
    std::unique_ptr<Sending> sending = nullptr;  ///< while it is busy
    const Order* at_work = nullptr;              ///< of the exchange that is on
  };

  void send_next() {
    for (std::size_t rank = 1; rank < ranks_.size(); ++rank) {
      auto& to = ranks_[rank];
      if (to.busy || to.queue.empty()) continue;
      to.at_work = to.queue.front();
      to.queue.pop_front();
      to.busy = true;
      to.sending = std::make_unique<Sending>(static_cast<int>(rank), kOrder, encode(*to.at_work));
    }
  }

  /// A reply and the order that it is to, neither where it is late or cannot be read.
  std::optional<std::pair<const Order*, std::optional<Reply>>> receive() {
    const auto from = job_.waiting();
    if (!from) return std::nullopt;
    auto& rank = ranks_[static_cast<std::size_t>(from->first)];
    const std::string bytes = job_.receive(from->first, from->second);
    rank.busy = false;
    rank.sending.reset();  // it has answered
    const Order* order = std::exchange(rank.at_work, nullptr);
    try {
      Reply reply = decode_reply(bytes);
      if (!order) {
        log_warning("a reply of client " + reply.client + " is late: the exchange has ended");
        return std::pair(order, std::optional<Reply>());
      }
      return std::pair(order, std::optional(std::move(reply)));
    } catch (const InputError& error) {
      log_warning("rank " + std::to_string(from->first) + ": " + error.what());
      return std::pair(order, std::optional<Reply>());
    }
  }

  /// A rank that is still at work ends with its reply, or with the job if that takes another
  /// deadline.
  void drain() {
    for (auto& rank : ranks_) rank.at_work = nullptr;
    const auto busy = [&] {
      return std::any_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank.busy; });
    };
    const auto began = std::chrono::steady_clock::now();
    while (busy()) {
      if (receive()) continue;
      if (deadline_ && std::chrono::steady_clock::now() - began > *deadline_) {
        for (std::size_t rank = 1; rank < ranks_.size(); ++rank)
          if (ranks_[rank].busy)
            log_warning(
                "rank " + std::to_string(rank) +
                " still does not answer, a deadline after the last exchange: the job is ended");
        job_.abort();
      }
      std::this_thread::sleep_for(kPause);
    }
  }

  Job& job_;
  Deadline deadline_;        ///< of the last exchange
  std::vector<Rank> ranks_;  ///< by number; the first is this one
  Hosting hosting_;
};

int cores_here() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

/// Open MPI gives each of two processes one core.
void warn_of_binding(int threads) {
  if (threads <= cores_here()) return;
  log_warning("rank " + std::to_string(Job::get().rank()) + " computes with " +
              std::to_string(threads) + " threads on " + std::to_string(cores_here()) +
              (cores_here() == 1 ? " core" : " cores") + "; mpirun --bind-to none gives it all");
}

}  // namespace

bool leads_mpi() {
  return Job::get().rank() == 0;
}

std::shared_ptr<Courier> open_mpi() {
  return std::make_shared<RankCourier>();
}

void serve_mpi(const RunTools& tools, WorkerOptions options) {
  Job& job = Job::get();
  const auto gpus = static_cast<int>(torch::cuda::device_count());
  if (options.device == "cuda" && gpus > 0)
    options.device = "cuda:" + std::to_string(job.place() % gpus);
  Worker worker(tools, options);
  bool warned = false;
  for (;;) {
    const auto from = job.waiting();
    if (!from) {
      stop_if_interrupted();
      std::this_thread::sleep_for(kPause);
      continue;
    }
    std::string bytes = job.receive(from->first, from->second);
    if (from->second == kEnd) break;
    const Order order = decode_order(std::move(bytes));
    if (!std::exchange(warned, true))
      warn_of_binding(options.threads > 0 ? options.threads : order.threads);
    job.send(0, kReply, encode(serve_or_fail(worker, order)));
  }
  job.finish();
}

}  // namespace strata::fedrunner
