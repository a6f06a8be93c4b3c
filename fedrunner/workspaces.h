#pragma once
/// \file
/// Models to work with: one frozen base, and for each a copy of what is trained.

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "models/model.h"

namespace strata::fedrunner {

/// As many models as clients of this process work at a time; they share the memory of what is not
/// trained. A client fills the one that it borrows with the state of its order.
class Workspaces {
 public:
  /// `count` ≥ 1 copies of `model`, each with the weights `trained` of its own.
  Workspaces(const models::Model& model, const std::set<std::string>& trained, int count);

  /// A model for as long as this lives.
  class Loan {
   public:
    explicit Loan(Workspaces& owner) : owner_(owner), model_(owner.take()) {}
    ~Loan() { owner_.give_back(model_); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    models::Model& model() const { return *model_; }

   private:
    Workspaces& owner_;
    models::Model* model_;
  };

 private:
  models::Model* take();  ///< waits until there is one
  void give_back(models::Model* model);

  std::vector<models::Model> models_;
  std::vector<models::Model*> idle_;
  std::mutex mutex_;
  std::condition_variable returned_;
};

}  // namespace strata::fedrunner
