# The agent with its tests and checkers, on the very image it ships in; the checkers themselves never get into that image.
# test/e2e/agentChecks.test.ts runs them in a container of it.
ARG WORKER_IMAGE
FROM ${WORKER_IMAGE}
# The label comes first, so that scripts/setup/pruneImages.mjs also recognises what a failed build leaves.
LABEL cellhouse.image=test
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends black flake8 mypy \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/*
COPY agent /src/agent
WORKDIR /src/agent
