"""The published definitions in plain Python, over the raw rows of one stay; they share no SQL with the plugin.

Times are hours since admission to intensive care. Sources are those that docs/mimic-iv.md names: MIMIC Code Repository,
KDIGO 2012, Vincent 1996, Seymour and Singer 2016, Charlson 1987 and 1994 with the codes of Quan 2005, icu-features.
"""
