"""Time and peak memory of `manage.py ingest_suggestions`.

    python manage.py migrate
    python benchmarks/ingest.py [ROWS ...]          default: 100000 1000000

Writes to the database that manage.py uses, under the source "benchmark", and removes its rows
again.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MANAGE = Path(__file__).resolve().parents[1] / "manage.py"
STATIONS = 2_000


def write_jsonl(path: Path, rows: int) -> None:
    with path.open("w") as file:
        for n in range(rows):
            move = {
                "from_station_id": n // STATIONS,
                "to_station_id": 1_000_000 + n % STATIONS,
                "qty": 1 + n % 20,
                "reason": f"Demand forecast {n % 97}: the station empties before the evening peak",
            }
            file.write(json.dumps(move) + "\n")


def write_csv(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("from_station_id,to_station_id,qty,reason,priority,expires_at\n")
        for n in range(rows):
            move = f"{n // STATIONS},{1_000_000 + n % STATIONS},{1 + n % 20}"
            file.write(f'{move},"Forecast {n % 97}, evening",{n % 9},2030-01-01T00:00:00Z\n')


def run(title: str, *arguments: str) -> None:
    """Peak memory is that of the largest child so far, so run the smaller sizes first."""
    command = [sys.executable, str(MANAGE), "ingest_suggestions", "--source", "benchmark"]
    start = time.perf_counter()
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{title:32} {seconds:6.1f} s  {peak:5.0f} MB  {(done.stdout or done.stderr).strip()}")


def main() -> None:
    sizes = sorted(int(size) for size in sys.argv[1:] or ["100000", "1000000"])
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            jsonl, csv = Path(folder) / "rows.jsonl", Path(folder) / "rows.csv"
            write_jsonl(jsonl, rows)
            write_csv(csv, rows)
            run(f"{rows:,} dry run", str(jsonl), "--dry-run")
            run(f"{rows:,} new, JSON Lines", str(jsonl))
            run(f"{rows:,} replaced, CSV", str(csv), "--replace")
            empty = Path(folder) / "empty.jsonl"
            empty.touch()
            run(f"{rows:,} removed", str(empty), "--replace", "--allow-empty")


if __name__ == "__main__":
    main()
