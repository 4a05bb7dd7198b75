# Checks the agent inside the very image it ships in; the checkers themselves never get into that image.
#
#   docker build -f worker-image/check.Dockerfile --build-arg WORKER_IMAGE=<worker image> worker-image
#
# It fails when a check fails. Unchanged inputs are answered from Docker's cache. `--target tests` only makes the image in
# which the checks can run.
ARG WORKER_IMAGE
FROM ${WORKER_IMAGE} AS tests
# The label comes first, so that scripts/setup/pruneImages.mjs also recognises what a failed check leaves.
LABEL cellhouse.image=test
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends black flake8 mypy \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/*
COPY agent /src/agent
WORKDIR /src/agent

FROM tests
RUN (black --check --quiet --diff . && python3 -m flake8 . && mypy \
  && python3 -m unittest discover --start-directory tests --durations 30) > /report.txt 2>&1 \
 || (cat /report.txt; exit 1)
CMD ["cat", "/report.txt"]
