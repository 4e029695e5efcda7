#!/usr/bin/env bash
# duckdb 2.0.1: which of several right rows with an equal time an ASOF JOIN takes depends on the size of the LEFT table. Below
# 64 left rows it takes the first of the equal rows, from there on the last: 64 is the setting asof_loop_join_threshold, at
# which another algorithm takes over. A query that was tried on a small sample gives other values on all the data, without
# a warning. What settles it is one row a time on the right, chosen by a window function before the join.
# Seen: 4 rows of each time; rows taken by their place among the equals: 63 left rows -> all the first (0), 64 -> all the last (3).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$folder/env/bin/python" - <<'PY'
import duckdb


def taken(left: int) -> dict[int, int]:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute("CREATE TABLE charted AS SELECT (i // 4)::INT AS time, (i % 4)::INT AS place FROM range(40000) s(i)")
    connection.execute(f"CREATE TABLE asked AS SELECT i::INT AS time FROM range({left}) s(i)")
    query = "SELECT place, count(*) FROM asked ASOF JOIN charted ON asked.time >= charted.time GROUP BY place"
    return dict(connection.execute(query).fetchall())


found = {left: taken(left) for left in (1, 63, 64, 1000)}
print("duckdb", duckdb.__version__, "rows taken by place among the equals, by left rows:", found)
assert all(set(found[left]) == {0} for left in (1, 63)), "the behaviour has changed"
assert all(set(found[left]) == {3} for left in (64, 1000)), "the behaviour has changed"
PY
