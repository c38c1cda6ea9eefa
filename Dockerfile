# One image for every role: `docker run remit worker`, `relay`, `sandbox`, …

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the build and stay out of the image, so the program is copied from them in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --package remit --bin remit \
    && cp target/dist/remit /usr/local/bin/remit

FROM debian:bookworm-slim
# Certificates for the calls to Dfns and Temporal Cloud; curl for the health checks.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/remit remit
COPY --from=build /usr/local/bin/remit /usr/local/bin/remit
USER remit
WORKDIR /var/lib/remit
ENTRYPOINT ["remit"]
CMD ["--help"]
