#!/usr/bin/env bash
# A search on several GPUs of one machine that is taken up again by itself, up to three times, from its last whole epoch.
#
#     examples/torchrun.sh DATA RUN [flags of entrannas search ...]
#     DEVICES=2 examples/torchrun.sh digits runs/two --epochs 3        # on a machine without a GPU: two processes
#
# On several machines, run it on each, with NODES the number of machines, HEAD the name of one of them, and JOB a name
# that no start before had; DATA and RUN are in a file system that all see.
set -euo pipefail
data=$1 run=$2
shift 2
devices=${DEVICES:-$(nvidia-smi --list-gpus | wc -l)}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / devices > 0 ? $(nproc) / devices : 1))}
# Without it, processes that were started again may read the addresses of those before (pytorch/pytorch#135712).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
where=(--standalone)
if [[ ${NODES:-1} -gt 1 ]]; then
  where=(--nnodes "$NODES" --rdzv-backend c10d --rdzv-endpoint "$HEAD:29400" --rdzv-id "$JOB")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${where[@]}" --nproc-per-node "$devices" --max-restarts 3 \
  -m entrannas search "$data" --out "$run" "$@"
