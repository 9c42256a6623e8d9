"""One vector space for texts and pictures: a sentence encoder with an image encoder beside it.

    towers = TextImageEncoder(text, ImageEncoder(dim=128))     # text: a SentenceEncoder that ends in 128 numbers
    u = towers.image.encode(pictures, normalize_embeddings=True)      # float32 (pictures, 128)
    v = towers.text.encode(captions, normalize_embeddings=True)       # float32 (captions, 128)
    u @ v.T                                                           # (pictures, captions) cosines

Radford et al. 2021 (CLIP, arXiv 2103.00020): both encoders learn from pairs of a picture and its caption, with the
ranking loss taken in both directions (`MultipleNegativesRankingLoss(symmetric=True)`). The picture becomes a sequence:
each patch of 8 x 8 pixels is a token, and the layers that read them are BERT's own (Dosovitskiy et al. 2021, arXiv
2010.11929). Three convolutions make the tokens, not one, which trains faster (Xiao et al. 2021, arXiv 2106.14881).

Left out on purpose: pictures of other sizes than the model's (resize them before), a class token (the mean of all
tokens is pooled), reading CLIP's own weights (sentence-transformers does).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.bert import BertConfig, BertLayer, initialize
from course_lib.encoder import SentenceEncoder
from course_lib.modules import Dense
from course_lib.support.configs import load_weights
from course_lib.support.embeddings import finite
from course_lib.support.exchange import settle
from course_lib.support.folders import atomic_folder, named, read_json, save_tensors, write_json
from course_lib.support.vectors import check_finite, tensor_of

PATCH = 8  # pixels


class ImageEncoder(nn.Module):
    """Pictures, uint8 (n, side, side, 3), to vectors (n, dim). side: a multiple of 8 pixels; width: numbers a patch."""

    def __init__(self, dim: int = 128, width: int = 128, layers: int = 1, side: int = 48):
        super().__init__()
        if side % PATCH or side < PATCH:
            raise ValueError(f"side is {side} pixels; expected a multiple of {PATCH}, the side of a patch")
        self.settings = dict(dim=dim, width=width, layers=layers, side=side)
        self.side, self.patches = side, (side // PATCH) ** 2
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, width, 4, stride=2, padding=1),
        )
        self.positions = nn.Parameter(0.02 * torch.randn(self.patches, width))
        self.norm = nn.LayerNorm(width)
        config = BertConfig(
            hidden_size=width,
            num_attention_heads=4,
            intermediate_size=4 * width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.05,
        )
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(layers))
        initialize(self.layer, config.initializer_range)
        self.projection = nn.Linear(width, dim)

    def patch_embeddings(self, pictures: Tensor) -> Tensor:
        """One vector a patch, by rows from the top, each from the left: (n, side, side, 3) -> (n, patches, width)."""
        self._check(pictures)
        x = pictures.to(self.positions.device).permute(0, 3, 1, 2) / 127.5 - 1  # (n, 3, side, side), -1..1
        return self.stem(x).flatten(2).transpose(1, 2)  # (n, width, side / 8, side / 8) -> (n, patches, width)

    def _check(self, pictures: Tensor):
        if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1:] != (self.side, self.side, 3):
            expected = f"uint8 (n, {self.side}, {self.side}, 3)"
            of_pil = f'of a PIL image, image.convert("RGB").resize(({self.side}, {self.side}))'
            raise ValueError(f"expected pictures, {expected}, got {pictures.dtype} {tuple(pictures.shape)}; {of_pil}")

    def forward(self, pictures: Tensor) -> Tensor:
        """uint8 (n, side, side, 3) -> (n, dim), with gradients. ValueError for other shapes or dtypes."""
        x = self.norm(self.patch_embeddings(pictures) + self.positions)
        n, x = len(x), x.flatten(0, 1)  # packed, as BERT wants it: (n * patches, width)
        for layer in self.layer:
            x = layer(x, [(n, self.patches)])  # n sequences of equal length
        return self.projection(x.view(n, self.patches, -1).mean(1))  # (n, width) -> (n, dim)

    @torch.inference_mode()
    def encode(
        self, pictures: np.ndarray | Tensor | Sequence, normalize_embeddings: bool = False, batch_size: int = 256
    ) -> np.ndarray:
        """float32 (n, dim) of pictures, uint8 (n, side, side, 3), in evaluation mode and without gradients.

        pictures: array, tensor, or a list of these or of PIL images in RGB; one picture gives (dim,). ValueError for
        other shapes or dtypes, TypeError for what holds no numbers.
        """
        pictures = tensor_of(pictures, "pictures")
        one = pictures.ndim == 3
        pictures = pictures[None] if one else pictures
        if len(pictures):
            self._check(pictures)
        training = self.training
        self.eval()
        vectors = [self(part).float().cpu() for part in pictures.split(batch_size) if len(part)]
        self.train(training)
        vectors = torch.cat([torch.empty(0, self.projection.out_features), *vectors])  # (n, dim)
        finite(vectors, of="picture")
        vectors = (nn.functional.normalize(vectors, dim=1) if normalize_embeddings else vectors).numpy()
        return vectors[0] if one else vectors


def whitening(vectors: Tensor, floor: float = 0.03) -> Dense:
    """A frozen Dense that takes vectors like these, (n, dim), to mean 0 and, in every direction, about equal variance.

    What a text encoder varies little lies in directions of small variance; a map trained on top of the raw vectors
    learns it last. floor: a share of the largest variance, added to all, so that directions of pure noise stay small.
    Su et al. 2021 (arXiv 2103.15316) have no floor. ValueError for fewer than two vectors, or equal ones.
    """
    vectors = tensor_of(vectors, "vectors")
    if vectors.ndim != 2 or len(vectors) < 2 or not vectors.shape[1]:
        raise ValueError(f"expected two vectors at least, (n, dim), got {tuple(vectors.shape)}")
    check_finite(vectors)
    mean = vectors.double().mean(0)  # (dim,)
    variances, directions = torch.linalg.eigh(torch.cov(vectors.double().T))  # (dim,), (dim, dim)
    if not variances[-1] > 0:
        raise ValueError(f"the {len(vectors)} vectors are all equal: there is no variance to equalise")
    weight = (directions / (variances + floor * variances[-1]).sqrt()).T  # (dim, dim): a row a direction
    dense = Dense(vectors.shape[1], vectors.shape[1], activation_function=None)
    dense.load_state_dict({"linear.weight": weight.float(), "linear.bias": (-weight @ mean).float()})
    return dense.requires_grad_(False)


class TextImageEncoder(nn.Module):
    """Two towers, `text` and `image`, that end in vectors of one length. ValueError where they do not."""

    def __init__(self, text: SentenceEncoder, image: ImageEncoder):
        super().__init__()
        dims = text.get_embedding_dimension(), image.projection.out_features
        if dims[0] != dims[1]:
            raise ValueError(
                f"texts get {dims[0]} numbers and pictures {dims[1]}; "
                f"put a Dense({dims[0]}, {dims[1]}) behind the text encoder"
            )
        self.text, self.image = text, image

    def save(self, folder: str | Path, half: bool = False):
        """The text encoder's files, and `image/` beside them: its settings and weights. Or leave what was there."""
        with atomic_folder(folder) as unfinished:
            self.text.save(unfinished / "text", half)
            (unfinished / "image").mkdir()
            write_json(unfinished / "image" / "config.json", self.image.settings)
            save_tensors(self.image.state_dict(), unfinished / "image" / "model.safetensors", half)
            write_json(unfinished / "config.json", {"text": "text", "image": "image"})

    @classmethod
    def load(cls, folder: str | Path) -> "TextImageEncoder":
        """What `save` wrote. FileNotFoundError or ValueError for what is missing, damaged or not understood."""
        folder = Path(folder).expanduser()
        settle(folder)
        with named(folder):
            parts = read_json(folder / "config.json", entries={"text": str, "image": str})
            if set(parts) != {"text", "image"}:
                raise ValueError(f"{folder / 'config.json'} names the parts {sorted(parts)}; expected text and image")
            place = folder / parts["image"]
            settings = read_json(place / "config.json", entries=dict.fromkeys(("dim", "width", "layers", "side"), int))
            image = load_weights(partial(ImageEncoder, **settings), place, settings.get("layers", 1))
            return cls(SentenceEncoder.load(folder / parts["text"]), image.eval())
