# Strata on Debian 12.
#   docker build -t strata .                              the planner alone, without LibTorch
#   docker build -t strata --build-arg PRESET=release .   everything: scoring, training, reports; on the CPU
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" strata plan --scores scores.csv --budget 2
ARG PRESET=plan-only

FROM debian:12 AS build
ARG PRESET
WORKDIR /src
# The packages first: they are the same for every commit.
COPY scripts/install-dependencies scripts/
RUN case "$PRESET" in \
      plan-only) scripts/install-dependencies --plan-only ;; \
      release) scripts/install-dependencies ;; \
      *) echo "PRESET is plan-only or release, not $PRESET" >&2; exit 1 ;; \
    esac
COPY . .
# Git reads a tree of another owner only when it is told that it may.
RUN git config --global --add safe.directory /src \
 && cmake --preset "$PRESET" -DSTRATA_BUILD_TESTS=OFF \
 && cmake --build --preset "$PRESET" \
 && cmake --install "build/$PRESET" --prefix /opt/strata --strip

FROM debian:12-slim
ARG PRESET
# What the programs link, and what draws the report's figures.
RUN apt-get update -qq \
 && apt-get install -qq -y --no-install-recommends \
      libjpeg62-turbo libpagmo8 libpng16-16 libpugixml1v5 libtbb12 libtiff6 libyaml-cpp0.7 zlib1g gnuplot-nox fonts-dejavu-core \
      $(if [ "$PRESET" = release ]; then echo libtorch1.13 libopenblas0-openmp libicu72 libgomp1 libopenmpi3 openmpi-bin; fi) \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --shell /usr/sbin/nologin strata \
 && install -d -o strata -g strata /work
COPY --from=build /opt/strata /usr/local
USER strata
WORKDIR /work
ENTRYPOINT ["strata"]
CMD ["--help"]
