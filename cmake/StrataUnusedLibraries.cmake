# Debian's libtorch_cpu.so asks for OpenCV and FFmpeg and takes no symbol from them: 230 further libraries, from Qt to
# GDAL, which are more than half of the 1.0 s that every start of a program with LibTorch takes. Empty libraries
# of the same names, which the program names before LibTorch does, stand in their place.

# strata_unused_libraries(RESULT LIBRARY FOLDER): writes the empty libraries into FOLDER; RESULT is their paths, or
# nothing where LIBRARY takes a symbol from one of them or a program with them does not start.
function(strata_unused_libraries result library folder)
  set(${result} "" PARENT_SCOPE)
  if(NOT CMAKE_READELF OR NOT CMAKE_NM OR CMAKE_CROSSCOMPILING)
    return()
  endif()
  get_filename_component(library ${library} REALPATH)
  execute_process(COMMAND ${CMAKE_READELF} -d ${library} OUTPUT_VARIABLE dynamic ERROR_QUIET)
  string(REGEX MATCHALL "lib(opencv_[a-z0-9]+|avcodec|avformat|avutil|swscale|swresample)\\.so[.0-9]*" names "${dynamic}")
  if(NOT names)
    return()
  endif()
  execute_process(COMMAND ${CMAKE_NM} -D --undefined-only ${library} OUTPUT_VARIABLE wanted ERROR_QUIET)
  file(REMOVE_RECURSE ${folder})
  file(WRITE ${folder}/probe/empty.c "")
  file(WRITE ${folder}/probe/program.cpp "int main() { return 0; }\n")
  set(paths)
  foreach(name ${names})
    # cv:: and the C names of both; a later LibTorch that reads videos keeps what it needs.
    if(wanted MATCHES "N2cv[0-9]|[ \n]U (av|sws|swr)_")
      return()
    endif()
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -x c -shared -nostdlib -Wl,-soname,${name} ${folder}/probe/empty.c
      -o ${folder}/${name} RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(failed)
      return()
    endif()
    list(APPEND paths ${folder}/${name})
  endforeach()
  # Every symbol of every library is looked for at this start: one that is missed is seen here.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${folder}/probe/program.cpp -o ${folder}/probe/program
    -Wl,--no-as-needed ${paths} ${library} -Wl,-rpath,${folder} RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(NOT failed)
    execute_process(COMMAND ${CMAKE_COMMAND} -E env LD_BIND_NOW=1 ${folder}/probe/program
      RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  endif()
  file(REMOVE_RECURSE ${folder}/probe)
  if(NOT failed)
    set(${result} ${paths} PARENT_SCOPE)
  endif()
endfunction()
