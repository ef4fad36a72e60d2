# syntax=docker/dockerfile:1

# One image for every service and for the jobs: docker build -t saldo .
#
# What is compiled is the version of Rust in rust-toolchain.toml; that file itself stays outside (.dockerignore), for rustup
# would get rustfmt and clippy for it.
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches belong to the builder, not to the image, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --profile dist --locked --package saldo --bin saldo \
    && install -D --strip target/dist/saldo /out/saldo

# The C library of the build's Debian, certificates and an unprivileged user; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Saldo" \
      org.opencontainers.image.description="Exact daily balances of merchants' launches" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/saldo /usr/local/bin/saldo
# "nonroot" by its number, so that a supervisor can see that it is not root.
USER 65532:65532
# ingest, query, the aggregator's health and metrics
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM
# What is healthy depends on the verb: docker-compose.yml says it for each service.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/saldo"]
