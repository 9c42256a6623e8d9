"""Chapters 09 and 12: mined negatives, distillation, large batches in little memory."""
