# syntax=docker/dockerfile:1
# The image without an engine is `make image`: it runs the same two scripts, and reads from here how the program is started.
# Nothing is published yet. Pin the image below by digest before the first release.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock rust-toolchain.toml build.rs ./
COPY src ./src
COPY image ./image
# The target folder is a cache mount, so the root file system is laid out in the same step. Toolchain components that only developers need are
# not fetched.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    RUSTUP_TOOLCHAIN="$(rustup show active-toolchain | cut -d' ' -f1)" image/build /target \
    && image/rootfs /target/release/iamdb /rootfs

# The program, what it needs of Debian's libraries, and root certificates.
FROM scratch
COPY --from=build /rootfs/base/ /
COPY --from=build /rootfs/program/ /
USER 65532:65532
WORKDIR /home/nonroot
EXPOSE 8080
ENTRYPOINT ["/iamdb"]
CMD ["run"]
