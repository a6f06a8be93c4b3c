# Every third-party package in one place. Debian 12 names are in scripts/install-dependencies.

find_package(Threads REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(ZLIB REQUIRED)
if(STRATA_WITH_PAGMO)
  # pagmo's package file looks for Boost through a removed module interface; the policy keeps it quiet.
  find_package(pagmo 2.18 REQUIRED)
endif()
if(STRATA_PYTHON)
  return()
endif()
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(TIFF 4.5 REQUIRED)
find_package(pugixml 1.13 REQUIRED)
find_package(ICU REQUIRED COMPONENTS i18n uc)
find_package(TBB REQUIRED)

if(TARGET yaml-cpp::yaml-cpp)
  set(STRATA_YAML yaml-cpp::yaml-cpp)
else()
  set(STRATA_YAML yaml-cpp)
endif()

if(STRATA_WITH_TORCH)
  # A LibTorch with CUDA asks nvcc which GPUs are here, with a probe that older CMakes cannot build. Strata
  # compiles no kernels, so any architecture will do.
  if(NOT DEFINED TORCH_CUDA_ARCH_LIST AND NOT DEFINED ENV{TORCH_CUDA_ARCH_LIST})
    set(TORCH_CUDA_ARCH_LIST 9.0)
  endif()
  find_package(Torch QUIET)
  if(NOT Torch_FOUND)
    message(FATAL_ERROR
      "LibTorch was not found. Install libtorch-dev and libopenblas0-openmp, point CMAKE_PREFIX_PATH at a "
      "PyTorch (python3 -c 'import torch; print(torch.utils.cmake_prefix_path)'), or configure with "
      "-DSTRATA_WITH_TORCH=OFF (preset plan-only) for the planner alone.")
  endif()
  # TorchConfig looks for c10 in the system's folders first: with Debian's LibTorch beside the PyTorch that was
  # asked for, two versions of it would end up in one program.
  list(FIND TORCH_LIBRARIES "${c10_LIBRARY}" strata_c10)
  if(strata_c10 GREATER_EQUAL 0 AND EXISTS "${TORCH_INSTALL_PREFIX}/lib/libc10.so")
    list(REMOVE_AT TORCH_LIBRARIES ${strata_c10})
    list(APPEND TORCH_LIBRARIES "${TORCH_INSTALL_PREFIX}/lib/libc10.so")
  endif()
  if(STRATA_WITH_MPI)
    set(MPI_CXX_SKIP_MPICXX ON)
    find_package(MPI 3.1 QUIET COMPONENTS CXX)
  endif()
  find_package(Spectra REQUIRED)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  separate_arguments(strata_torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
  add_library(strata_torch_interface INTERFACE)
  target_link_libraries(strata_torch_interface INTERFACE ${TORCH_LIBRARIES})
  target_compile_options(strata_torch_interface INTERFACE ${strata_torch_flags})
  # A PyTorch from pip finds NCCL and other libraries of NVIDIA's packages by its own run path, which the
  # linker does not follow.
  target_link_options(strata_torch_interface INTERFACE LINKER:--allow-shlib-undefined)
  target_include_directories(strata_torch_interface SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  include(${CMAKE_CURRENT_LIST_DIR}/StrataUnusedLibraries.cmake)
  if(TARGET torch_cpu)
    get_target_property(strata_torch_cpu torch_cpu LOCATION)
    strata_unused_libraries(STRATA_UNUSED_LIBRARIES ${strata_torch_cpu} ${PROJECT_BINARY_DIR}/unused-libraries)
    if(STRATA_UNUSED_LIBRARIES)
      target_link_libraries(strata_torch_interface INTERFACE
        -Wl,--push-state,--no-as-needed ${STRATA_UNUSED_LIBRARIES} -Wl,--pop-state)
    endif()
  endif()
  add_library(strata::torch ALIAS strata_torch_interface)
endif()
