"""Writes trace.json: 20 training steps of both towers in PyTorch (float64), which trace.rs replays.

usage: python trace.py > trace.json      PyTorch 2, CPU

The towers are implemented here again from their formulas, with PyTorch's own operators, autograd and AdamW.
"""
import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
D, HIDDEN, ITEMS, SLOTS, CONTEXT = 6, 10, 12, 7, 5
ROWS = {"values": 4, "types": 3, "gaps": 5, "runs": 3}
STEPS, RATE, WARM_UP, CLIP, AVERAGE = 20, 2e-3, 5, 0.3, 0.98


def number(seed, i):
    """The i-th number, in -1..1, of a linear congruential generator of 32 bits. It is the same in any language."""
    x = (seed * 7919 + i * 104729 + 12345) % 2**32
    for _ in range(3):
        x = (x * 1664525 + 1013904223) % 2**32
    return x / 2**31 - 1


def whole(seed, i, n):
    return int((number(seed, i) + 1) / 2 * n) % n


def tensor(seed, scale, *shape):
    n = math.prod(shape)
    return torch.tensor([scale * number(seed, i) for i in range(n)]).reshape(shape)


ITEM_SHAPES = [("ids", (ITEMS + 1, D)), ("features", (SLOTS, D)), ("id_bias", (ITEMS + 1,)), ("feature_bias", (SLOTS,))]
USER_SHAPES = [
    ("gain", (ROWS["values"],)), ("values", (ROWS["values"], D)), ("types", (ROWS["types"], D)), ("gaps", (ROWS["gaps"], D)),
    ("runs", (ROWS["runs"], D)), ("log_rates", (4,)), ("mix", (5, D)), ("context", (CONTEXT, D)), ("w1", (6 * D, HIDDEN)),
    ("b1", (HIDDEN,)), ("w2", (HIDDEN, D)), ("b2", (D,)), ("norm_gain", (D,)), ("norm_bias", (D,)), ("log_scale", (1,)),
]  # fmt: skip


def bag(table, slots):
    return sum((w * table[s] for s, w in slots), torch.zeros(table.shape[1:]))


def windows():
    """Three histories. Events are (item, value, type, gap, run); each prefix has a context bag, soft targets and masks."""
    out = []
    for w, n in enumerate([6, 8, 10]):
        seed = 100 + 10 * w
        events = [[whole(seed, 5 * i, ITEMS)] + [whole(seed, 5 * i + 1 + j, r) for j, r in enumerate(ROWS.values())] for i in range(n)]
        contexts = [[[whole(seed + 1, p, CONTEXT), 1.0], [whole(seed + 2, p, CONTEXT), 0.5]] for p in range(n)]
        targets = []
        for p in range(n):
            wanted = {}
            for j, (item, *_) in enumerate(events[p : p + 3]):
                wanted[item] = wanted.get(item, 0) + 0.5**j
            total = sum(wanted.values())
            seen = sorted({e[0] for e in events[:p]} - set(wanted))
            targets.append({"wanted": [[i, x / total] for i, x in sorted(wanted.items())], "masked": seen})
        out.append({"events": events, "contexts": contexts, "targets": targets})
    return out


def item_tower(p, ids, bags):
    v = torch.stack([p["ids"][i] + bag(p["features"], b) for i, b in zip(ids, bags)])
    b = torch.stack([p["id_bias"][i] + bag(p["feature_bias"][:, None], b)[0] for i, b in zip(ids, bags)])
    return v, b


def user_tower(p, v, window, prefix):
    h = [
        2.5 * v[item] * (1 + p["gain"][value]) + p["values"][value] + p["types"][kind] + p["gaps"][gap] + p["runs"][run]
        for item, value, kind, gap, run in window["events"][:prefix]
    ]
    pools = []
    for rate in p["log_rates"].exp():
        weights = [torch.exp(-rate * (prefix - 1 - j)) for j in range(prefix)]
        pools.append(sum((w * x for w, x in zip(weights, h)), torch.zeros(D)) / (sum(weights, torch.zeros(())) + 0.3))
    pools.append(h[-1] if h else torch.zeros(D))
    pools = torch.stack(pools)
    x = torch.cat([F.layer_norm(pools, (D,)).flatten(), bag(p["context"], window["contexts"][prefix])])
    hidden = F.gelu(x @ p["w1"] + p["b1"])
    u = F.layer_norm((p["mix"] * pools).sum(0) + hidden @ p["w2"] + p["b2"], (D,), p["norm_gain"], p["norm_bias"])
    return u * 0.5 * p["log_scale"].exp()


def loss(p, data, ids, bags):
    v, b = item_tower(p, ids, bags)
    total, rows = 0.0, 0
    for window in data:
        for prefix, target in enumerate(window["targets"]):
            logits = v @ user_tower(p, v, window, prefix) + b
            logits = logits.index_fill(0, torch.tensor(target["masked"], dtype=torch.long), -math.inf)
            log_p = torch.log_softmax(logits, 0)
            total = total - sum(w * log_p[i] for i, w in target["wanted"])
            rows += 1
    return total / rows


def main():
    data = windows()
    ids = [0 if i % 5 == 3 else i + 1 for i in range(ITEMS)]
    bags = [[[whole(7, 2 * i, SLOTS), 1.0], [whole(7, 2 * i + 1, SLOTS), 0.7]] for i in range(ITEMS)]
    p = {name: tensor(20 + k, 0.5, *shape) for k, (name, shape) in enumerate(ITEM_SHAPES + USER_SHAPES)}
    p["log_rates"] -= 1.5
    p["norm_gain"] += 1.0
    starts = {name: t.flatten().tolist() for name, t in p.items()}
    for t in p.values():
        t.requires_grad_(True)
    average = {name: t.detach().clone() for name, t in p.items()}
    optimizer = torch.optim.AdamW(p.values(), lr=RATE, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0)
    losses = []
    for step in range(1, STEPS + 1):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, step / WARM_UP)
        optimizer.zero_grad()
        value = loss(p, data, ids, bags)
        value.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), CLIP)
        optimizer.step()
        losses.append(value.item())
        for name, t in p.items():
            average[name].mul_(AVERAGE).add_(t.detach(), alpha=1 - AVERAGE)
    shape = {"dim": D, "hidden": HIDDEN, "rows": list(ROWS.values()), "context": CONTEXT, "items": ITEMS, "slots": SLOTS}
    print(json.dumps({
        "torch": torch.__version__.split("+")[0], "shape": shape, "ids": ids, "bags": bags, "windows": data, "starts": starts,
        "rate": RATE, "warm_up": WARM_UP, "clip": CLIP, "average_decay": AVERAGE, "losses": losses,
        "average": {name: t.flatten().tolist() for name, t in average.items()},
    }))  # fmt: skip


main()
