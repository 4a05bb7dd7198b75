#!/bin/sh
# Two shell commands for one user: one that succeeds, and one that fails. Then the session is released.
set -eu
url=${CELLHOUSE_URL:-http://127.0.0.1:3874}
token=${CELLHOUSE_TOKEN:-$(cat .cellhouse/auth-token)}

# The token goes in by standard input, so that no list of processes shows it.
graphql() {
  printf 'X-Auth-Token: %s\n' "$token" |
    curl --silent --show-error --fail-with-body --header @- \
      --header 'Content-Type: application/json' --data "$1" "$url/graphql"
  echo
}

execute='mutation ($input: ExecuteInput!) { execute(input: $input) { status exitCode stdout error { value } } }'
release='mutation ($input: ReleaseInput!) { release(input: $input) { released } }'

graphql '{"query": "'"$execute"'", "variables": {"input": {"userUuid": "shell", "language": "BASH", "code": "seq 3 | tac | xargs"}}}'
graphql '{"query": "'"$execute"'", "variables": {"input": {"userUuid": "shell", "language": "BASH", "code": "exit 3"}}}'
graphql '{"query": "'"$release"'", "variables": {"input": {"userUuid": "shell"}}}'
