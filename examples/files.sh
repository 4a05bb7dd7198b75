#!/bin/sh
# A table goes in, code makes an Excel file of it, and that comes out. Then the session is released.
set -eu
url=${CELLHOUSE_URL:-http://127.0.0.1:3874}
token=${CELLHOUSE_TOKEN:-$(cat .cellhouse/auth-token)}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

# The token goes in by standard input, so that no list of processes shows it.
call() {
  printf 'X-Auth-Token: %s\n' "$token" | curl --silent --show-error --fail-with-body --header @- "$@"
}
graphql() {
  call --header 'Content-Type: application/json' --data "$1" "$url/graphql"
  echo
}

printf 'item,price\ntea,3\ncake,4\n' > "$folder/prices.csv"
call --upload-file "$folder/prices.csv" --output /dev/null "$url/files/curl/data/prices.csv"

code='import pandas\npandas.read_csv(\"data/prices.csv\").to_excel(\"data/prices.xlsx\")'
execute='mutation ($input: ExecuteInput!) { execute(input: $input) { status files { changes { change path } } } }'
graphql '{"query": "'"$execute"'", "variables": {"input": {"userUuid": "curl", "code": "'"$code"'"}}}'

call --output "$folder/prices.xlsx" "$url/files/curl/data/prices.xlsx"
head -c 2 "$folder/prices.xlsx" && echo ' is how a zip file begins, and so an .xlsx file'
# A whole folder is a tar archive.
call "$url/files/curl/data?archive=tar" | tar --list | sort

graphql '{"query": "mutation { release(input: {userUuid: \"curl\"}) { released } }"}'
