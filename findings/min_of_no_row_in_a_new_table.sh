#!/usr/bin/env bash
# duckdb 1.5.4 (1.5.0 to 1.5.3 too; not 1.4.4, not 1.5.5, 1.5.6, 2.0.0): inside a transaction, the least value of the rows of a
# table that this transaction made ends in an InternalException where the table's statistics rule out every row that the filter
# asks for. A check for what must not be there, such as a key that stands twice, so fails just where the data are right; outside
# of a transaction, or counted instead of minimised, the same query answers. The transaction is lost with it. What helps: 1.5.5
# or later, or commit before asking.
# Seen: outside [(0, None)], counted inside [(0,)], least value inside InternalException, then TransactionException.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 1.5.4 1.5.5; do
python3 -m venv "$folder/$version"
"$folder/$version/bin/pip" install --quiet --disable-pip-version-check "duckdb==$version"
"$folder/$version/bin/python" - "$version" <<'PY'
import sys

import duckdb

TABLE = "CREATE TABLE stay AS SELECT range AS number, 1 AS copies FROM range(20)"
LEAST = "SELECT count(*), min(number) FROM stay WHERE copies > 1"
COUNTED = "SELECT count(*) FROM stay WHERE copies > 1"


def answers(transaction: bool, *queries: str) -> list[object]:
    connection = duckdb.connect()
    if transaction:
        connection.execute("BEGIN")
    connection.execute(TABLE)
    said: list[object] = []
    for query in queries:
        try:
            said.append(connection.execute(query).fetchall())
        except duckdb.Error as error:
            said.append(type(error).__name__)
    return said


outside, counted, inside = answers(False, LEAST), answers(True, COUNTED), answers(True, LEAST, COUNTED)
print("duckdb", duckdb.__version__, "outside:", outside, "counted inside:", counted, "least value inside, then a count:", inside)
assert (outside, counted) == ([[(0, None)]], [[(0,)]]), "the behaviour has changed"
told = {"1.5.4": ["InternalException", "TransactionException"], "1.5.5": [[(0, None)], [(0,)]]}
assert inside == told[sys.argv[1]], "the behaviour has changed"
PY
done
