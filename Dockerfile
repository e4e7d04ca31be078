FROM rust:1-bookworm AS build
WORKDIR /tokenfall
# The dependencies in a layer of their own, built for an empty program: it stays until they change.
COPY Cargo.toml Cargo.lock build.rs ./
COPY link link
# Cargo wants to see what it is told of, the bench too.
RUN mkdir src benches && touch benches/hot_path.rs \
    && echo '//! Empty.' > src/lib.rs && printf '//! Empty.\nfn main() {}\n' > src/main.rs \
    && cargo build --release --locked \
    && rm -r src
COPY src src
COPY web web
# Cargo goes by times, and these may be older than the empty program.
RUN touch src/lib.rs src/main.rs && cargo build --release --locked

FROM debian:bookworm-slim
# Whom upstreams' certificates are checked with.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /tokenfall/target/release/tokenfall /usr/local/bin/tokenfall
# By number, so that Kubernetes can tell that it is not root. Nothing is ever written.
USER 65532:65532
WORKDIR /tokenfall
# A container's own loopback is reached by nobody.
ENV TOKENFALL__SERVER__HOST=0.0.0.0
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s --retries=2 \
    CMD ["tokenfall", "health"]
ENTRYPOINT ["tokenfall"]
CMD ["serve"]
