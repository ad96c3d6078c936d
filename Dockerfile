# Flotilla in a container: `docker build -t flotilla .`, or `docker compose build`.
#
# The Swift library is linked in, and Debian's C libraries are the ones that the tests run with: so the image needs no
# toolchain, and gets Debian's security updates by being built again. Its user may write nowhere but into the two folders
# below, and its file system may be read-only.

FROM swift:6.3.1-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libcjose-dev libcurl4-openssl-dev libhiredis-dev libisal-dev libjemalloc-dev liblz4-dev libmicrohttpd-dev libpcre2-dev libpq-dev \
        librdkafka-dev libsimdjson-dev libsnappy-dev libssl-dev libyaml-dev libzstd-dev pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Package.swift ./
COPY Benchmarks ./Benchmarks
COPY Tests ./Tests
COPY Sources ./Sources
RUN swift build -c release --product flotilla --static-swift-stdlib --explicit-target-dependency-import-check error \
    && install -D -m 755 "$(swift build -c release --static-swift-stdlib --show-bin-path)/flotilla" /out/flotilla \
    && strip --strip-debug /out/flotilla

FROM debian:bookworm-20260918-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libcjose0 libcurl4 libhiredis0.14 libisal2 libjemalloc2 liblz4-1 libmicrohttpd12 libpcre2-8-0 libpq5 \
        librdkafka1 libsimdjson14 libsnappy1v5 libssl3 libstdc++6 libyaml-0-2 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/*.log /var/log/apt \
    && groupadd --system --gid 65532 flotilla \
    && useradd --system --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin flotilla \
    && install -d -o 65532 -g 65532 -m 700 /var/lib/flotilla/keys /var/lib/flotilla/token
COPY topics /etc/flotilla/topics
COPY --from=build /out/flotilla /usr/local/bin/flotilla
ENV FLOTILLA_TOPICS=/etc/flotilla/topics
USER 65532:65532
EXPOSE 8080 9464
# The admin port of an edge or a worker. What has none (`topics apply`) is over before it is asked.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["flotilla", "healthcheck"]
ENTRYPOINT ["flotilla"]
CMD ["--help"]
