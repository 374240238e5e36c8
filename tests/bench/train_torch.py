"""SASRec in PyTorch, a peer of `make bench-train`: L 50, d 64, two pre-norm blocks of two heads, softmax over all items, AdamW.
usage: train_torch.py DATA EPOCHS"""

import csv
import json
import resource
import sys
import time

import torch
from torch import nn

L, D, BATCH = 50, 64, 128


class SasRec(nn.Module):
    def __init__(self, items):
        super().__init__()
        self.items = nn.Embedding(items + 1, D, padding_idx=0)
        self.places = nn.Embedding(L, D)
        self.bias = nn.Parameter(torch.zeros(items + 1))
        block = lambda: nn.TransformerEncoderLayer(D, 2, 4 * D, 0.2, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.ModuleList(block() for _ in range(2))
        self.norm = nn.LayerNorm(D)
        self.register_buffer("newer", torch.triu(torch.ones(L, L, dtype=torch.bool), 1))

    def forward(self, x):
        h = self.items(x) + self.places.weight
        for block in self.blocks:
            h = block(h, src_mask=self.newer)
        return self.norm(h) @ self.items.weight.T + self.bias


def histories(folder):
    rows = sorted((int(r["user"]), int(r["timestamp"]), int(r["item"])) for r in csv.DictReader(open(f"{folder}/events.csv")))
    names = {item: i + 1 for i, item in enumerate(sorted({item for _, _, item in rows}))}
    users = {}
    for user, _, item in rows:
        users.setdefault(user, []).append(names[item])
    return [h[:-2] for h in users.values() if len(h) > 3], len(names)


def main(folder, epochs):
    users, items = histories(folder)
    torch.manual_seed(1)
    model = SasRec(items)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    start, cpu = time.time(), time.process_time()
    for _ in range(epochs):
        order = torch.randperm(len(users)).tolist()
        for at in range(0, len(order), BATCH):
            windows = []
            for u in order[at : at + BATCH]:
                h = users[u]
                first = int(torch.randint(max(1, len(h) - L), ()))
                windows.append(([0] * (L + 1) + h[first : first + L + 1])[-(L + 1) :])
            batch = torch.tensor(windows)
            x, y = batch[:, :-1], batch[:, 1:]
            known = x > 0
            logits = model(x)[known]
            loss = nn.functional.cross_entropy(logits, y[known])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
    seconds, cpu = (time.time() - start) / epochs, (time.process_time() - cpu) / epochs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"epoch_s": seconds, "epoch_cpu_s": cpu, "peak_mb": peak, "loss": loss.item()}))


main(sys.argv[1], int(sys.argv[2]))
