"""A stand-in for transformers: loads a folder when it is asked to as safely as we ask, with one token per word."""

import json
import pathlib
import types

import torch


class AutoModel(torch.Module):
    @classmethod
    def from_pretrained(cls, folder, **options):
        safe = {"torchscript": True, "use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
        assert options == safe, options
        model = cls({})
        model.config = types.SimpleNamespace(**json.loads((pathlib.Path(folder) / "config.json").read_text()))
        return model


class AutoModelForSequenceClassification(AutoModel):
    pass


class AutoTokenizer:
    @classmethod
    def from_pretrained(cls, folder, *, local_files_only):
        assert local_files_only
        assert (pathlib.Path(folder) / "tokenizer.json").is_file()
        return cls()

    def __call__(self, texts, *, truncation, max_length, padding=False):
        ids = [[len(word) for word in text.split()][:max_length] for text in texts]
        if padding == "max_length":
            ids = [row + [0] * (max_length - len(row)) for row in ids]
        mask = [[int(bool(token)) for token in row] for row in ids]
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": [[0] * len(row) for row in ids]}
