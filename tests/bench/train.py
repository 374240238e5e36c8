"""Seconds and memory of an epoch, beside peers that take turns with it. Writes OUT/bench-train.json and OUT/bench-train.md."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCHS = 5


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("foretaste", help="the program bench_train")
    parser.add_argument("data", help="a data folder with events.csv")
    parser.add_argument("out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="run this engine alone")
    args = parser.parse_args()
    foretaste, data, out = args.foretaste, args.data, args.out
    with tempfile.TemporaryDirectory() as folder:
        ours = lambda model: lambda: run([foretaste, "--data", data, "--model", model, "--out", os.path.join(folder, model)])
        peer = lambda script: lambda: run([sys.executable, os.path.join(HERE, script), data, str(EPOCHS)])
        engines = [
            ("foretaste", "sasrec", ours("sasrec")),
            ("pytorch", "sasrec", peer("train_torch.py")),
            ("foretaste", "two-tower", ours("two-tower")),
            ("tfrs", "two-tower", peer("train_tfrs.py")),
        ]
        engines = [engine for engine in engines if args.only in (None, engine[0])]
        results = [[] for _ in engines]
        for _ in range(args.rounds):
            for found, (_, _, measure) in zip(results, engines):
                found.append(measure())
    rows = []
    for found, (engine, model, _) in zip(results, engines):
        median = lambda key: statistics.median(r[key] for r in found)
        rows.append({"engine": engine, "model": model, "epoch_cpu_s": median("epoch_cpu_s"), "epoch_s": median("epoch_s"), "peak_mb": median("peak_mb")})
    os.makedirs(out, exist_ok=True)
    machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    json.dump({"machine": machine, "rows": rows}, open(os.path.join(out, "bench-train.json"), "w"), indent=1)
    lines = ["| model | engine | s an epoch | CPU s an epoch | peak MB |", "|---|---|---|---|---|"]
    lines += [f"| {r['model']} | {r['engine']} | {r['epoch_s']:.2f} | {r['epoch_cpu_s']:.2f} | {r['peak_mb']:.0f} |" for r in rows]
    text = "\n".join(lines) + "\n"
    open(os.path.join(out, "bench-train.md"), "w").write(text)
    print(text, end="")


main()
