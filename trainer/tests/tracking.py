"""Opens the files that `train --track` writes with the real TensorBoard and MLflow. usage: tracking.py FORETASTE"""

import json
import os
import subprocess
import sys
import tempfile

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(foretaste):
    foretaste = os.path.abspath(foretaste)
    with tempfile.TemporaryDirectory() as folder:
        # MLflow writes a database to the current folder.
        os.chdir(folder)
        data, run, track = (os.path.join(folder, name) for name in ("data", "run", "track"))
        size = ["--users", "100", "--items", "40", "--events", "2000"]
        subprocess.run([foretaste, "data", "get", "synthetic", *size, "--to", data], check=True)
        subprocess.run([foretaste, "train", "--quiet", "--data", data, "--out", run, "--track", track], check=True)
        card = json.load(open(os.path.join(run, "run.json")))
        curve = [e for e in card["curve"] if e["phase"] == "search"]
        losses = [(e["steps"], e["loss"]) for e in curve]
        valid = [(e["steps"], e["valid"]) for e in curve]
        assert len(losses) > 1

        client = MlflowClient(tracking_uri="file://" + os.path.join(track, "mlruns"))
        (experiment,) = client.search_experiments()
        (found,) = client.search_runs([experiment.experiment_id])
        assert (experiment.name, found.info.run_name, found.info.status) == (card["name"], "run", "FINISHED")
        assert found.data.params["dim"] == str(card["config"]["dim"]) and found.data.params["seed"] == "0"
        assert found.data.params["data_sha256"] == card["trained_on"]["data_sha256"]
        assert found.data.tags.get("mlflow.source.git.commit") == card.get("revision")
        history = lambda name: [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, name)]
        assert history("search_loss") == losses and history("valid_ndcg_at_100") == valid
        assert [a.path for a in client.list_artifacts(found.info.run_id)] == ["run.json"]

        versions, log = os.path.join(folder, "versions"), os.path.join(folder, "visitor.jsonl")
        with open(log, "w") as file:
            file.writelines('{"item":"%d","type":"view","time":%d}\n' % (i, 1700000000000 + i) for i in range(1, 9))
        update = [foretaste, "update", versions]
        subprocess.run([*update, "--run", run], check=True)
        loose = ["--max-drop", "1", "--max-surge", "1", "--epochs", "1", "--quiet"]
        subprocess.run([*update, "--data", data, "--log", log, *loose], check=True)
        store = "file://" + os.path.join(versions, "mlruns")
        registry = MlflowClient(tracking_uri=store, registry_uri=store)
        (model,) = registry.search_registered_models()
        aliased = lambda alias: registry.get_model_version_by_alias(model.name, alias).version
        assert {a: int(v) for a, v in model.aliases.items()} == {"champion": 1, "challenger": 2}, model
        assert {int(v.version) for v in registry.search_model_versions(f"name='{model.name}'")} == {1, 2}
        second = registry.get_model_version(model.name, "2")
        assert second.tags["gate"] == "passed" and float(second.tags["users.after"]) > 0
        assert os.path.isfile(os.path.join(second.source.removeprefix("file://"), "manifest.json"))
        for verb, champion in [("promote", 2), ("rollback", 1)]:
            subprocess.run([foretaste, verb, versions], check=True)
            assert int(aliased("champion")) == champion
        registry.set_registered_model_alias(model.name, "challenger", "2")
        subprocess.run([foretaste, "promote", versions], check=True)
        assert int(aliased("champion")) == 2, "what MLflow sets, the command reads"

        events = EventAccumulator(os.path.join(track, "tensorboard", "run")).Reload()
        for name, expected in [("search_loss", losses), ("valid_ndcg@100", valid)]:
            got = [(s.step, s.value) for s in events.Scalars(name)]
            assert len(got) == len(expected)
            assert all(a[0] == b[0] and abs(a[1] - b[1]) < 1e-6 for a, b in zip(got, expected)), name
    print("tracking: TensorBoard and MLflow read the curve, and MLflow the versions")


main(*sys.argv[1:])
