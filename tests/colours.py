"""What is seen of a colour: its luminance, and how it looks to colour-blind readers."""

import numpy as np

# Machado, Oliveira and Fernandes (2009), "A physiologically-based model for simulation of color vision deficiency":
# what is seen at severity 1, on linear RGB.
SEEN = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = XYZ.sum(1)
DISTINCT = 10.0  # delta E; about 2.3 is just noticeable side by side


def lab(colours, vision):
    """CIELAB (n, 3), lightness first, of sRGB colours (n, 3) in 0..1 as seen with this vision."""
    colours = np.asarray(colours, dtype=float)[..., :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(SEEN[vision]).T, 0, 1) @ XYZ.T / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def closest(colours, vision):
    """The smallest delta E (CIE 1976) of any two colours."""
    seen = lab(colours, vision)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    return distances[np.triu_indices(len(seen), 1)].min()


def luminance(colour):
    """WCAG's relative luminance of an RGB colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


def contrast(one, other):
    """WCAG's contrast ratio of two colours, 1 to 21."""
    light, dark = sorted(map(luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
