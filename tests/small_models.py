"""Small models with random weights, as transformers saves them; and batches for them."""

import functools
import json
import shutil
from pathlib import Path

import tokenizers
import torch
import transformers
from parity import TEXTS
from torch import nn

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # as on the Hugging Face hub
TOKENS = 10_000  # of MiniLM's 30,522 the most frequent, which load in a third of the time


@functools.cache
def short_tokenizer(minilm_folder: Path) -> str:
    """MiniLM's tokenizer.json with the first TOKENS of its vocabulary."""
    settings = json.loads((minilm_folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = settings["model"]["vocab"]
    settings["model"]["vocab"] = {token: number for token, number in vocabulary.items() if number < TOKENS}
    return json.dumps(settings)


def tiny_bert_folder(folder: Path, minilm_folder: Path, **changes) -> Path:
    """A transformers folder: a random BERT 32 wide with MiniLM's tokenizer, its vocabulary cut short."""
    torch.manual_seed(0)
    config = dict(
        vocab_size=TOKENS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.3,
    )
    transformers.BertModel(transformers.BertConfig(**config | changes)).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(short_tokenizer(minilm_folder), encoding="utf-8")
    shutil.copy(minilm_folder / "tokenizer_config.json", folder)
    return folder


def other_folder(kind: str, folder, minilm_folder, positions: int = 42, limit: int | None = 40):
    """A random tiny model of another architecture and a fitting tokenizer."""
    torch.manual_seed(0)
    config_class, model_class = getattr(transformers, kind + "Config"), getattr(transformers, kind + "Model")
    if kind == "DistilBert":
        config = config_class(
            vocab_size=TOKENS,
            dim=24,
            hidden_dim=48,
            n_layers=2,
            n_heads=3,
            max_position_embeddings=positions,
            initializer_range=0.3,
        )
    else:
        config = config_class(
            vocab_size=400,
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=3,
            max_position_embeddings=positions,
            initializer_range=0.3,
            type_vocab_size=1,
        )
    model_class(config).save_pretrained(folder)
    if kind == "DistilBert":
        tokenizer = tokenizers.Tokenizer.from_str(short_tokenizer(minilm_folder))
        special = dict(unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    else:
        tokenizer = tokenizers.ByteLevelBPETokenizer()
        names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        tokenizer.train_from_iterator(TEXTS * 3, vocab_size=380, special_tokens=names, show_progress=False)
        tokenizer = tokenizer._tokenizer
        tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        special = dict(
            bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", unk_token="<unk>", pad_token="<pad>"
        )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=limit or 10**30, **special)
    fast.save_pretrained(folder)
    return folder


# ---- BERT of any size, and a batch for it


def random_config(seed: int, **changes) -> dict:
    """A tiny configuration, every field that changes the result drawn at random."""
    g = torch.Generator().manual_seed(seed)
    pick = lambda *choices: choices[torch.randint(len(choices), (), generator=g)]
    heads = pick(1, 2, 3, 4)
    return (
        dict(
            model_type="bert",
            vocab_size=pick(20, 61, 200),
            num_attention_heads=heads,
            hidden_size=heads * pick(1, 4, 7, 16),
            num_hidden_layers=pick(1, 2, 3, 5),
            intermediate_size=pick(5, 32, 77),
            hidden_act=pick("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"),
            max_position_embeddings=pick(9, 16, 40),
            type_vocab_size=pick(1, 2, 5),
            layer_norm_eps=pick(1e-12, 1e-5, 1e-2),
            pad_token_id=pick(0, 3),
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.3,
        )
        | changes
    )


def random_batch(config: dict, seed: int = 0):
    """Packed ids and token types of unsorted lengths, 1 and the maximum among them, and the same padded."""
    torch.manual_seed(seed)
    longest = config["max_position_embeddings"]
    lengths = [3, 1, longest, 5, 5, 1, *torch.randint(1, longest + 1, (4,)).tolist()]
    ids = torch.randint(config["vocab_size"], (sum(lengths),))
    types = torch.randint(config["type_vocab_size"], (sum(lengths),))
    return ids, types, lengths


def padded(x: torch.Tensor, lengths: list[int]):
    return nn.utils.rnn.pad_sequence(x.split(lengths), batch_first=True)


def mask_of(lengths: list[int]):
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
