# Everything from outside, found and never downloaded: OpenMP, oneDNN, Python, pybind11, CUDA.
# oneDNN and pybind11 come as Python wheels, which pip puts into the build environment, or from the
# system.

set(wheel_dirs "")
if(CHAINRULE_BUILD_PYTHON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
else()
  find_package(Python 3.10 COMPONENTS Interpreter)
endif()
if(Python_Interpreter_FOUND)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/wheel_dirs.py"
    OUTPUT_VARIABLE wheel_dirs
    OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()

find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(dnnl 3 CONFIG QUIET HINTS ${wheel_dirs})
if(NOT dnnl_FOUND)
  message(FATAL_ERROR
    "oneDNN 3.x was not found. Install it with `pip install onednn-devel-cpu-gomp`, or point "
    "CMAKE_PREFIX_PATH at a oneDNN 3.x built with OpenMP (dnnl_DIR is ${dnnl_DIR}).")
endif()
if(CHAINRULE_BUILD_PYTHON)
  set(PYBIND11_FINDPYTHON ON)
  find_package(pybind11 3 CONFIG REQUIRED HINTS ${wheel_dirs})
endif()

# Sets CHAINRULE_WITH_CUDA, and a word on why in CHAINRULE_CUDA_STATE.
set(CHAINRULE_WITH_CUDA OFF)
if(NOT CHAINRULE_CUDA)
  set(CHAINRULE_CUDA_STATE "off")
else()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(CHAINRULE_CUDA_CODE "${CMAKE_CUDA_ARCHITECTURES}")
    if(NOT CHAINRULE_CUDA_CODE)
      # Machine code for 8.0 and 9.0, PTX for later ones, all from one pass of the compiler; a list
      # of architectures would take one pass each.
      set(CHAINRULE_CUDA_CODE "80;90")
      set(CMAKE_CUDA_ARCHITECTURES OFF)
      string(APPEND CMAKE_CUDA_FLAGS
        " --generate-code=arch=compute_80,code=[sm_80,sm_90,compute_80]")
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    set(CHAINRULE_WITH_CUDA ON)
    set(CHAINRULE_CUDA_STATE "${CMAKE_CUDA_COMPILER_VERSION} for ${CHAINRULE_CUDA_CODE}")
  elseif(CHAINRULE_CUDA STREQUAL "AUTO")
    set(CHAINRULE_CUDA_STATE "off: nvcc not found")
  else()
    message(FATAL_ERROR "CHAINRULE_CUDA is ON, but no working nvcc was found: set CUDACXX to it.")
  endif()
endif()
