# The gateway, for docker compose. The image that workers are made of is worker-image/Dockerfile: the gateway builds it on
# the engine whose socket it is given, by the same steps as `npm start`.
ARG NODE_IMAGE=node:24-trixie-slim

FROM ${NODE_IMAGE} AS build
# By which an image that has lost its name is known (scripts/setup/pruneImages.mjs).
LABEL cellhouse.image=gateway
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN node scripts/build.mjs

FROM ${NODE_IMAGE}
LABEL cellhouse.image=gateway
# Nothing here runs npm, Corepack or Yarn, and the image has only packages that its SBOM lists.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn-* \
    && cd /usr/local/bin && rm -f npm npx corepack yarn yarnpkg
WORKDIR /app
COPY package.json LICENSE ./
COPY migrations migrations
COPY public public
COPY scripts scripts
COPY worker-image worker-image
# Has the packages in it, but not the embedded PostgreSQL, in whose place is a container.
COPY --from=build /app/dist dist
# Root, since it makes the workers' socket folders, and whoever may use the engine's socket is root anyway.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    DATA_DIR=/var/lib/cellhouse
VOLUME /var/lib/cellhouse
EXPOSE 3874
HEALTHCHECK --interval=5s --timeout=3s --start-period=10m --start-interval=1s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT ?? 3874}/readyz`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "scripts/start.mjs"]
