"""A training as users of Hugging Face's Trainer write it. python transformers_train.py WORKERS CONTEXT PERSISTENT"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile

import torch
import transformers
from torch.utils.data import Dataset

WORDS = 64


class Sentences(Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, number):
        words = (torch.arange(12) * (number % 5 + 1)) % WORDS
        return {"input_ids": words, "labels": words}


def main(workers, context, persistent, folder):
    if workers:
        multiprocessing.set_start_method(context)
    transformers.set_seed(7)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=WORDS, n_positions=12, n_embd=16, n_layer=1, n_head=2)
    )
    arguments = transformers.TrainingArguments(
        output_dir=folder,
        num_train_epochs=2,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        gradient_accumulation_steps=2,
        eval_strategy="epoch",
        logging_steps=1,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=bool(workers and persistent),
        seed=7,
    )
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=Sentences(24), eval_dataset=Sentences(8))
    trainer.remove_callback(transformers.PrinterCallback)  # it prints how long things took
    trainer.train()
    for entry in trainer.state.log_history:
        print({name: value for name, value in entry.items() if "loss" in name and "train_" not in name})
    print([parameter.sum().item().hex() for parameter in model.parameters()])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "persistent", folder)
