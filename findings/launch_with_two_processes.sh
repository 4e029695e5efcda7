#!/usr/bin/env bash
# accelerate 1.15.0: `accelerate launch --cpu --num_processes 2 script.py` starts ONE process, exit code 0. The Accelerator in
# the script says DistributedType.NO and one process; nothing says that the number asked for was not taken. `torchrun
# --nproc-per-node 2` with the same script runs two under gloo.
# Seen: launch -> "0 of 1 NO"; torchrun -> "0 of 2 MULTI_CPU" and "1 of 2 MULTI_CPU".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 accelerate==1.15.0
cat > "$folder/script.py" <<'PY'
from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
print(f"rank {accelerator.process_index} of {accelerator.num_processes} {accelerator.distributed_type.name}", flush=True)
PY
export HF_HOME="$folder/home" OMP_NUM_THREADS=1
launched=$("$folder/env/bin/accelerate" launch --cpu --num_processes 2 "$folder/script.py" 2> /dev/null | grep '^rank')
by_torchrun=$("$folder/env/bin/torchrun" --nproc-per-node 2 "$folder/script.py" 2> /dev/null | grep '^rank' | sort)
printf 'accelerate launch: %s\ntorchrun: %s\n' "$launched" "$by_torchrun"
[ "$launched" = "rank 0 of 1 NO" ]
[ "$(printf '%s\n' "$by_torchrun" | wc -l)" = 2 ]
