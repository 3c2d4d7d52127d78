# syntax=docker/dockerfile:1
# Agent and controller in one image. Build: docker build -t spindle .
# The agent needs CAP_NET_ADMIN and the host's network namespace; the controller needs neither.
FROM node:22-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:22-bookworm-slim
# A user that is not root has a capability only where the program's file grants it: the agent runs this copy of node.
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin \
 && cp /usr/local/bin/node /usr/local/bin/node-net-admin && setcap cap_net_admin+ep /usr/local/bin/node-net-admin \
 && apt-get purge -y --auto-remove libcap2-bin && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/spindle
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist/src ./dist/src
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", "/opt/spindle/dist/src/cli/main.js"]
CMD ["--help"]
