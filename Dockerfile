# syntax=docker/dockerfile:1
# A start: it has not been built in CI yet, and nothing is published. Pin both images by digest before the first release.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY src ./src
# The target folder is a cache mount, so the binary is copied out of it. Toolchain components that only developers need are not fetched.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    RUSTUP_TOOLCHAIN="$(rustup show active-toolchain | cut -d' ' -f1)" \
    cargo build --release --locked --bin iamdb \
    && cp target/release/iamdb /iamdb

# glibc and root certificates, no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /iamdb /iamdb
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/iamdb"]
CMD ["run"]
