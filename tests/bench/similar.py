"""Runs the peers of `make bench` and writes the table of all results: similar.py BIN OUT SET…

BIN is the program `bench_similar`, each SET a folder that `bench_data` made. Everything runs on one thread. `similar` (cosine, 10 of all items)
is compared with Annoy and hnswlib, which build an index, and with numpy, which does not. The search for the top 100 of u · v + b is compared
with numpy. Recall is relative to f32 in numpy.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import annoy
import hnswlib
import numpy as np

K, BEST = 10, 100


def timed(asked, call):
    """Returns the lists, and for each the median milliseconds over a few calls."""
    lists, ms = [], []
    for one in asked:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            found = call(one)
            times.append(1e3 * (time.perf_counter() - start))
        lists.append(list(found))
        ms.append(sorted(times)[1])
    return lists, ms


def measure(folder, ours):
    kind, dim, n = folder.name.split("-")
    dim, n = int(dim), int(n)
    vectors = np.fromfile(folder / "vectors.f32", "<f4").reshape(n, dim)
    biases = np.fromfile(folder / "biases.f32", "<f4")
    queries = np.fromfile(folder / "queries.f32", "<f4").reshape(-1, dim)
    best = np.fromfile(folder / "truth.u32", "<u4").reshape(-1, BEST)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    items = ours["similar"]["items"]

    def top(scores, k):
        part = np.argpartition(-scores, k - 1)[:k]
        return part[np.argsort(-scores[part])]

    def like(item):
        scores = unit @ unit[item]
        scores[item] = -np.inf
        return top(scores, K)

    near, near_ms = timed(items, like)
    rows = []

    def row(task, engine, lists, ms, truth, k, note=""):
        recall = float(np.mean([len(set(map(int, a)) & set(map(int, b))) / k for a, b in zip(lists, truth)]))
        median, late = (float(x) for x in np.percentile(ms, [50, 95]))
        rows.append(dict(engine=engine, task=task, n=n, dim=dim, k=k, vectors=kind, workers=0, median_ms=median, p95_ms=late, recall=recall, runs=len(ms), note=note))

    found = ours["similar"]["found"]
    row("similar", "foretaste", found["rows"], found["ms"], near, K, "no index")
    row("similar", "numpy", near, near_ms, near, K, "no index")

    start = time.perf_counter()
    graph = hnswlib.Index("cosine", dim)
    graph.init_index(n, M=16, ef_construction=200, random_seed=1)
    graph.set_num_threads(1)
    graph.add_items(unit)
    built = time.perf_counter() - start
    for ef in (20, 50, 200, 800):
        graph.set_ef(ef)
        lists, ms = timed(items, lambda item: [i for i in graph.knn_query(unit[item], K + 1)[0][0] if i != item][:K])
        row("similar", f"hnswlib ef {ef}", lists, ms, near, K, f"built in {built:.1f} s")

    start = time.perf_counter()
    forest = annoy.AnnoyIndex(dim, "angular")
    forest.set_seed(1)
    for i, vector in enumerate(unit):
        forest.add_item(i, vector)
    forest.build(50, 1)
    built = time.perf_counter() - start
    for nodes in (1_000, 10_000, 50_000):
        lists, ms = timed(items, lambda item: [i for i in forest.get_nns_by_item(item, K + 1, nodes) if i != item][:K])
        row("similar", f"annoy search_k {nodes}", lists, ms, near, K, f"50 trees built in {built:.1f} s")

    for effort, found in ours["search"].items():
        row("score", "foretaste" if effort == "accurate" else f"foretaste-{effort}", found["rows"], found["ms"], best, BEST)
    lists, ms = timed(queries, lambda query: top(vectors @ query + biases, BEST))
    row("score", "numpy", lists, ms, best, BEST)
    return rows


def main(binary, out, *folders):
    rows = []
    for folder in map(Path, folders):
        ours = json.loads(subprocess.run([binary, folder], check=True, capture_output=True, text=True).stdout)
        rows += measure(folder, ours)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    (out / "bench.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))
    head = ["task", "vectors", "n", "d", "engine", "median ms", "p95 ms", "recall", ""]
    table = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        cells = [r["task"], r["vectors"], r["n"], r["dim"], r["engine"], f"{r['median_ms']:.3f}", f"{r['p95_ms']:.3f}", f"{r['recall']:.4f}", r["note"]]
        table.append("| " + " | ".join(map(str, cells)) + " |")
    text = "\n".join(table) + "\n"
    (out / "bench.md").write_text(text)
    print(text)


main(*sys.argv[1:])
