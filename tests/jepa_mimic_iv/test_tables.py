"""Broken tables give one error that says where and what to do, and never what stands in a record."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from jepa_core.data.store import Store, StoreWriter
from jepa_core.errors import DataError, RunError
from jepa_core.io.workspace import database_error
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.source import MimicIVSource


def extract(folder, tmp_path, **options) -> None:
    source = MimicIVSource(MimicIVConfig(tables=str(folder), **options))
    with StoreWriter(tmp_path / "store", "mimic_iv", source.fingerprint()) as writer:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        source.build(writer, scratch)


def refusal(folder, tmp_path) -> str:
    with pytest.raises(DataError) as raised:
        extract(folder, tmp_path)
    assert not (tmp_path / "store").exists()
    return str(raised.value)


def test_missing_tables_are_all_named(three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables")
    (folder / "icu/icustays.csv").unlink()
    (folder / "hosp/emar.csv").unlink()

    message = refusal(folder, tmp_path)

    assert "icu/icustays" in message and "hosp/emar" in message and ".csv.gz" in message
    assert [line.split(" is not")[0] for line in MimicIVConfig(tables=str(folder)).missing()] == [
        "table icu/icustays",
        "table hosp/emar",
    ]


def test_a_missing_folder_is_named(tmp_path):
    assert "nowhere" in refusal(tmp_path / "nowhere", tmp_path)
    assert len(MimicIVConfig(tables=str(tmp_path / "nowhere")).missing()) == 1


@pytest.mark.parametrize("table", ["icu/chartevents", "hosp/labevents", "icu/icustays"])
def test_a_truncated_gzip_file_is_refused(three_stays, tmp_path, table):
    for hour in range(2000):
        three_stays.chart(0, hour / 100, 220045, 60 + hour % 37)
        three_stays.lab(0, hour / 100, 50912, 1 + hour % 37)
    folder = three_stays.write(tmp_path / "tables", ".csv.gz")
    path = folder / f"{table}.csv.gz"
    path.write_bytes(path.read_bytes()[:-20])

    message = refusal(folder, tmp_path)

    assert f"{table}.csv.gz" in message and "truncated or damaged" in message and "SHA256SUMS" in message


def test_a_file_that_is_no_gzip_is_refused(three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables", ".csv.gz")
    (folder / "hosp/emar.csv.gz").write_text("subject_id,hadm_id\n")

    assert "emar.csv.gz cannot be read" in refusal(folder, tmp_path)


def test_a_missing_column_is_named(three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables")
    path = folder / "icu/inputevents.csv"
    path.write_text(path.read_text().replace("rateuom", "rate_unit"))

    assert "inputevents.csv: column rateuom is missing" in refusal(folder, tmp_path)


@pytest.mark.parametrize("name", ["rateuom", "RATEUOM"])
def test_a_column_that_is_there_twice_is_refused(name, three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables")
    path = folder / "icu/inputevents.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},{name}", *(f"{line}," for line in lines)]))

    assert "inputevents.csv: column rateuom is there twice" in refusal(folder, tmp_path)


def test_an_empty_file_is_refused(three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables")
    (folder / "icu/d_items.csv").write_text("")

    assert "d_items.csv is empty" in refusal(folder, tmp_path)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_value_of_the_wrong_type_is_named_by_line_and_column(three_stays, tmp_path, suffix):
    three_stays.chart(1, 5, 220045, "SECRET")
    folder = three_stays.write(tmp_path / "tables", suffix)

    message = refusal(folder, tmp_path)

    assert f"chartevents{suffix}, line 5: column valuenum holds a value that is no DOUBLE" in message
    assert "SECRET" not in message and "9900" not in message and "2150" not in message


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_an_infinite_number_is_named_by_row_and_column(three_stays, tmp_path, suffix):
    """No measurement is infinite: it is what a faulty export divided by nothing, and every mean with it is lost."""
    three_stays.chart(1, 5, 220045, float("-inf"))
    folder = three_stays.write(tmp_path / "tables", suffix)

    message = refusal(folder, tmp_path)

    assert f"chartevents{suffix}, row 3 (counted from 0): column valuenum holds an infinite number" in message


def test_a_line_with_too_few_columns_is_named(three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables")
    path = folder / "icu/chartevents.csv"
    path.write_text(path.read_text() + "1,0,99000001\n")

    message = refusal(folder, tmp_path)

    assert "chartevents.csv, line 5: the line has too many or too few columns" in message
    assert "9900" not in message


def test_a_damaged_parquet_file_is_refused(three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables", ".parquet")
    path = folder / "hosp/patients.parquet"
    path.write_bytes(path.read_bytes()[:-5])

    assert "patients.parquet cannot be read as parquet" in refusal(folder, tmp_path)


def test_the_three_formats_and_any_order_of_rows_give_the_same_store(three_stays, tmp_path):
    three_stays.pump(0, 1.5, 3.5, 221906, rate=0.1, rateuom="mcg/kg/min", amount=0.96, amountuom="mg")
    three_stays.chart(0, 2, 220179, 110.5)
    three_stays.chart(0, 2, 220050, 121.3)
    three_stays.lab(1, 4, 50912, 1.3, hadm_id=None)
    three_stays.order(2, 5, "Furosemide", dose_val_rx="20", dose_unit_rx="mg", prod_strength="40mg  Vial", route="IV")
    three_stays.given(2, 6, "Furosemide")
    contents = set()
    for number, suffix in enumerate([".csv", ".csv.gz", ".parquet", ".csv"]):
        if number == 3:
            for rows in three_stays.rows.values():
                rows.reverse()
        place = tmp_path / str(number)
        place.mkdir()
        extract(three_stays.write(place / "tables", suffix), place, threads=1 + number % 2)
        contents.add(Store(place / "store").content)

    assert len(contents) == 1


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_times_with_a_zone_are_read_alike_wherever_the_machine_stands(three_stays, tmp_path, zone):
    three_stays.chart(0, 2, 220179, 110.5)
    plain = three_stays.write(tmp_path / "plain", ".parquet")
    extract(plain, tmp_path)
    zoned = three_stays.write(tmp_path / "zoned", ".parquet")
    for path in zoned.rglob("*.parquet"):
        table = pq.read_table(path)
        for place, column in enumerate(table.schema):
            if pa.types.is_timestamp(column.type):
                moved = table[column.name].cast(pa.timestamp("us", tz="UTC"))
                table = table.set_column(place, column.name, moved)
        pq.write_table(table, path)
    code = (
        "import sys; from pathlib import Path; "
        "from jepa_mimic_iv.config import MimicIVConfig; from jepa_mimic_iv.source import MimicIVSource; "
        "from jepa_core.data.store import Store, StoreWriter; folder = Path(sys.argv[1]); "
        "source = MimicIVSource(MimicIVConfig(tables=str(folder / 'zoned'))); "
        "scratch = folder / 'work'; scratch.mkdir()\n"
        "with StoreWriter(folder / 'other', 'mimic_iv', 'x') as writer: source.build(writer, scratch)\n"
        "print(Store(folder / 'other').content)"
    )
    environment = {**os.environ, "TZ": zone}
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
    )

    assert found.stdout.strip() == Store(tmp_path / "store").content


@pytest.mark.parametrize(
    "column",
    [
        ("icu/icustays", "intime"), ("icu/chartevents", "charttime"), ("hosp/labevents", "storetime"),
        ("hosp/prescriptions", "stoptime"), ("hosp/microbiologyevents", "chartdate"),
    ],
)  # fmt: skip
def test_a_zone_that_is_not_utc_is_refused_by_name(three_stays, tmp_path, column):
    folder = three_stays.write(tmp_path / "tables", ".parquet")
    path = folder / f"{column[0]}.parquet"
    table = pq.read_table(path)
    moved = table[column[1]].cast(pa.timestamp("us", tz="America/New_York"))
    pq.write_table(table.set_column(table.schema.get_field_index(column[1]), column[1], moved), path)

    said = refusal(folder, tmp_path)

    assert f"{path.name}: the times of column {column[1]} have the time zone America/New_York" in said
    assert "write the column as timestamps without a zone, or with the zone UTC" in said


def test_a_zone_in_words_leaves_the_clock_as_it_is_written(three_stays, tmp_path):
    three_stays.chart(0, 2, 220179, 110.5)
    extract(three_stays.write(tmp_path / "plain"), tmp_path)
    for rows in three_stays.rows.values():
        for row in rows:
            row |= {name: f"{cell}+05:30" for name, cell in row.items() if cell and name.endswith("time")}
    (tmp_path / "other").mkdir()
    extract(three_stays.write(tmp_path / "zoned"), tmp_path / "other")

    assert Store(tmp_path / "other" / "store").content == Store(tmp_path / "store").content


def test_one_cohort_gives_one_store_whoever_wrote_its_files(three_stays, tmp_path):
    """As csv, csv.gz, and Parquet by DuckDB, pyarrow, pandas and polars."""
    three_stays.lab(1, 4, 50912, 1.3, hadm_id=None)
    three_stays.order(0, 5, "Vancomycin", dose_val_rx="1,000", dose_unit_rx="mg", route=None)
    three_stays.order(1, 5, "Cefepime ", dose_val_rx="2", dose_unit_rx="g", route="IV")
    three_stays.chart(0, 3, 226732, None, "Trach mask ")
    three_stays.given(2, 6, None)
    plain = three_stays.write(tmp_path / "csv")
    folders = [plain, three_stays.write(tmp_path / "gz", ".csv.gz"), three_stays.write(tmp_path / "arrow", ".parquet")]
    folders += [rewritten(plain, tmp_path / name, write) for name, write in WRITERS.items()]
    contents = []
    for number, folder in enumerate(folders):
        (tmp_path / f"out{number}").mkdir()
        extract(folder, tmp_path / f"out{number}")
        contents.append(Store(tmp_path / f"out{number}" / "store").content)

    assert len(contents) == 7 and len(set(contents)) == 1


def test_a_number_that_is_nan_is_nothing_whoever_wrote_the_file(three_stays, tmp_path):
    three_stays.lab(0, 4, 51256, 60, specimen_id=5)
    white_cells = three_stays.lab(0, 4, 51301, None, specimen_id=5)
    answer = three_stays.chart(0, 3, 220739, None)
    extract(three_stays.write(tmp_path / "nothing"), tmp_path)
    white_cells["valuenum"] = answer["valuenum"] = float("nan")
    plain = three_stays.write(tmp_path / "csv")
    folders = [plain, three_stays.write(tmp_path / "arrow", ".parquet")]
    folders.append(rewritten(plain, tmp_path / "polars", by_polars))
    for number, folder in enumerate(folders):
        (tmp_path / f"out{number}").mkdir()
        extract(folder, tmp_path / f"out{number}")

        assert Store(tmp_path / f"out{number}" / "store").content == Store(tmp_path / "store").content


def rewritten(plain: Path, folder: Path, write: Callable[[Path, Path], None]) -> Path:
    for path in plain.rglob("*.csv"):
        target = folder / path.relative_to(plain).with_suffix(".parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
        write(path, target)
    return folder


def by_duckdb(path: Path, target: Path) -> None:
    duckdb.execute(f"COPY (SELECT * FROM read_csv('{path}', all_varchar = true)) TO '{target}' (FORMAT parquet)")


def by_arrow_with_empty_texts(path: Path, target: Path) -> None:
    options = arrow_csv.ConvertOptions(strings_can_be_null=False)
    pq.write_table(arrow_csv.read_csv(path, convert_options=options), target)


def by_pandas(path: Path, target: Path) -> None:
    # Without this, pandas takes the word None, which is a device, for nothing.
    pandas.read_csv(path, keep_default_na=False, na_values=[""]).to_parquet(target)


def by_polars(path: Path, target: Path) -> None:
    polars.read_csv(path, infer_schema_length=None, try_parse_dates=True).write_parquet(target)


WRITERS = {"duckdb": by_duckdb, "pyarrow": by_arrow_with_empty_texts, "pandas": by_pandas, "polars": by_polars}


def test_tied_rows_give_one_store_with_any_number_of_threads(three_stays, tmp_path):
    for number in range(20_000):
        hour = 1 + number % 7
        if number % 2:
            three_stays.chart(number % 3, hour, (220179, 220050, 223835, 224639)[number // 2 % 4], 50 + number % 11)
        else:
            three_stays.lab(number % 3, hour, 50912, 1 + number % 5, specimen_id=number % 4)
    three_stays.add("hosp/patients", **{**three_stays.rows["hosp/patients"][0], "gender": "M"})
    folder = three_stays.write(tmp_path / "tables")
    contents = set()
    for number, threads in enumerate((1, 4, 1, 4, 1, 4)):
        (tmp_path / str(number)).mkdir()
        extract(folder, tmp_path / str(number), threads=threads)
        contents.add(Store(tmp_path / str(number) / "store").content)

    assert len(contents) == 1


def test_parquet_is_preferred_and_inputs_are_listed_with_their_sizes(three_stays, tmp_path):
    three_stays.write(tmp_path, ".csv")
    three_stays.write(tmp_path, ".parquet")

    inputs = MimicIVConfig(tables=str(tmp_path)).inputs()

    assert len(inputs) == 13
    assert all(one.path.suffix == ".parquet" and one.bytes == one.path.stat().st_size for one in inputs)
    assert MimicIVConfig().inputs() == [] and MimicIVConfig().missing() == []


def test_comments_with_line_breaks_and_windows_line_ends_are_read(three_stays, tmp_path):
    three_stays.lab(0, 1, 50912, 1.3, comments='two\nlines, and "quotes"')
    three_stays.lab(0, 2, 50912, 1.4)
    folder = three_stays.write(tmp_path / "tables")
    path = folder / "icu/chartevents.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    extract(folder, tmp_path)

    store = Store(tmp_path / "store")
    (block,) = store.blocks()
    shown = [store.channels[channel].name for channel in block.state.channel]
    assert sum(not name.startswith(("sofa", "kdigo")) for name in shown) == 5


def test_planning_imports_no_database():
    code = (
        "import sys, jepa_mimic_iv; list(jepa_mimic_iv.jepa_components()); "
        "jepa_mimic_iv.MimicIVConfig(tables='/nowhere').missing(); "
        "print([name for name in ('duckdb', 'torch', 'numpy', 'pyarrow') if name in sys.modules])"
    )

    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_a_byte_order_mark_does_not_hide_the_first_column(three_stays, tmp_path):
    folder = three_stays.write(tmp_path / "tables", ".csv.gz")
    path = folder / "hosp/patients.csv.gz"
    path.write_bytes(gzip.compress("\ufeff".encode() + gzip.decompress(path.read_bytes())))

    extract(folder, tmp_path)

    assert len(Store(tmp_path / "store")) == 3


def test_too_little_memory_is_said_with_the_option_to_raise(three_stays, tmp_path):
    with pytest.raises(RunError, match="raise `memory_limit`"):
        extract(three_stays.write(tmp_path / "tables"), tmp_path, memory_limit="1MB")


def test_a_full_disk_is_said():
    error = database_error(duckdb.IOException('Could not write file "a/b": No space left on device'))

    assert isinstance(error, RunError) and "disk" in str(error) and "a/b" not in str(error)
