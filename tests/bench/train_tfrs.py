"""The retrieval tutorial of TensorFlow Recommenders, a peer of `make bench-train`: two embeddings of 32, batch 8192, Adagrad.
usage: train_tfrs.py DATA EPOCHS"""

import csv
import json
import os
import resource
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf
import tensorflow_recommenders as tfrs

DIM, BATCH = 32, 8192


class Retrieval(tfrs.Model):
    def __init__(self, users, items):
        super().__init__()
        tower = lambda names: tf.keras.Sequential(
            [tf.keras.layers.StringLookup(vocabulary=names, mask_token=None), tf.keras.layers.Embedding(len(names) + 1, DIM)]
        )
        self.user, self.item = tower(users), tower(items)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, features, training=False):
        return self.task(self.user(features["user"]), self.item(features["item"]), compute_metrics=not training)


def main(folder, epochs):
    rows = list(csv.DictReader(open(f"{folder}/events.csv")))
    columns = {name: [r[name] for r in rows] for name in ("user", "item")}
    data = tf.data.Dataset.from_tensor_slices(columns).shuffle(100_000, seed=1).batch(BATCH).cache()
    model = Retrieval(*(sorted(set(columns[name])) for name in ("user", "item")))
    model.compile(optimizer=tf.keras.optimizers.Adagrad(0.1))
    # The first epoch traces the graph and is left out.
    model.fit(data, epochs=1, verbose=0)
    start, cpu = time.time(), time.process_time()
    model.fit(data, epochs=epochs, verbose=0)
    seconds, cpu = (time.time() - start) / epochs, (time.process_time() - cpu) / epochs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"epoch_s": seconds, "epoch_cpu_s": cpu, "peak_mb": peak}))


main(sys.argv[1], int(sys.argv[2]))
