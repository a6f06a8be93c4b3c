#pragma once
/// \file
/// The parts of LibTorch that Strata uses: tensors, autograd, devices. The whole of
/// <torch/torch.h>, with its modules, data loaders and optimizers, takes three times as long to
/// compile, precompiled or not.

#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>
