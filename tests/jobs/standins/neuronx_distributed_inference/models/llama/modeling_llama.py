"""A stand-in for NxD Inference's Llama: loads what was compiled, from the folder it is in."""

import json
import pathlib


class NeuronLlamaForCausalLM:
    def __init__(self, model_path):
        document = json.loads((pathlib.Path(model_path) / "neuron_config.json").read_text())
        self.neuron_config = document["neuron_config"]
        self.loaded = False

    def load(self, compiled_model_path):
        assert self.neuron_config["save_sharded_checkpoint"], "weights would be sharded at start-up"
        weights = pathlib.Path(compiled_model_path) / "weights"
        assert len(list(weights.iterdir())) == self.neuron_config["tp_degree"]
        self.loaded = True
