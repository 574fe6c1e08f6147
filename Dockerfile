# The server. Build: docker build -t slipway .      Run: see compose.yaml.
ARG BASE=node:26-slim

FROM ${BASE} AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The base image has Node, so the packages that bring it to developers (they are optional) stay out.
RUN npm ci --omit=dev --omit=optional && npm cache clean --force

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git iptables \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=modules /app/node_modules node_modules
COPY package.json app.yml ./
COPY schema schema
COPY src src
ENV NODE_ENV=production SLIPWAY_HOME=/var/lib/slipway
VOLUME /var/lib/slipway
EXPOSE 3000
# Give it the group of the engine's socket (see compose.yaml). Nothing but the data and /tmp is ever written.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# A server that mostly waits needs no large nursery for its objects: 20 MB less, at no cost that could be measured.
CMD ["node", "--max-semi-space-size=4", "src/main.ts"]
