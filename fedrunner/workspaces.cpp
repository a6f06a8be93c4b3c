#include "fedrunner/workspaces.h"

namespace strata::fedrunner {

Workspaces::Workspaces(const models::Model& model, const std::set<std::string>& trained,
                       int count) {
  for (int i = 0; i < count; ++i) models_.push_back(model.clone(trained));
  for (auto& workspace : models_) idle_.push_back(&workspace);
}

models::Model* Workspaces::take() {
  std::unique_lock<std::mutex> lock(mutex_);
  returned_.wait(lock, [&] { return !idle_.empty(); });
  models::Model* model = idle_.back();
  idle_.pop_back();
  return model;
}

void Workspaces::give_back(models::Model* model) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(model);
  }
  returned_.notify_one();
}

}  // namespace strata::fedrunner
