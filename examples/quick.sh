#!/bin/sh
# Runs code for the user "ann". The token goes in by standard input: no list of processes shows it.
printf 'X-Auth-Token: %s\n' "$CELLHOUSE_TOKEN" |
  curl --silent --show-error --fail-with-body --write-out '\n' \
    --header @- --header 'Content-Type: application/json' \
    --data '{"query": "mutation { execute(input: {userUuid: \"ann\", code: \"6 * 7\"}) { status resultText } }"}' \
    "${CELLHOUSE_URL:-http://127.0.0.1:3874}/graphql"
