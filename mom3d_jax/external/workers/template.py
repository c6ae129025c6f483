"""A worker to copy for a new model: here a network of one layer gives relative depth.

    python template.py REQUEST

Runs in the model's own environment, of Python 3.8 or newer with numpy and torch, and imports nothing of this project.
To try it by hand, write a request: docs/external.md shows how.
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch

FORMAT = 1


class Model:
    """Loads its weights once and answers for one item after the other."""

    def __init__(self, settings):
        """Everything that the settings of the model say: repo, weights, device, trust, options."""
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = found if settings["device"] == "auto" else settings["device"]
        self.net = torch.nn.Conv2d(3, 1, kernel_size=5, padding=2).to(self.device).eval()
        if settings["weights"]:
            # weights_only: nothing in the file is executed, unless the user trusts it by its name.
            trusted = Path(settings["weights"]).name in settings["trust"]
            state = torch.load(settings["weights"], map_location=self.device, weights_only=not trusted)
            self.net.load_state_dict(state)

    def __call__(self, arrays, values):
        """Arrays and values of one item -> arrays and values of its result."""
        image = torch.from_numpy(arrays["image"]).permute(2, 0, 1)[None].to(self.device)
        with torch.no_grad():
            depth = self.net(image)[0, 0]
        return {"depth": depth.cpu().numpy().astype(np.float32)}, {"kind": "relative"}


def main(folder):
    """Answer the request in a folder; the result appears when it is complete."""
    request = json.loads((folder / "request.json").read_text())
    if request["format"] != FORMAT:
        sys.exit("error: request of format %s, this worker knows %d" % (request["format"], FORMAT))
    torch.manual_seed(request["seed"])
    model, draft, records = Model(request["settings"]), folder / "result.tmp", []
    for number, item in enumerate(request["items"]):
        place = Path("items", "%04d" % number)
        given = {file.stem: np.load(file) for file in (folder / place).glob("*.npy")}
        arrays, values = model(given, item["values"])
        (draft / place).mkdir(parents=True)
        for name, array in arrays.items():
            np.save(draft / place / (name + ".npy"), array)
        records.append({"name": item["name"], "values": values})
        print("progress %d/%d %s" % (number + 1, len(request["items"]), item["name"]), flush=True)
    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": str(torch.__version__)}
    provenance = {"versions": versions, "seed": request["seed"], "device": str(model.device)}
    result = {"format": FORMAT, "task": request["task"], "items": records, "provenance": provenance}
    (draft / "result.json").write_text(json.dumps(result))
    draft.rename(folder / "result")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
