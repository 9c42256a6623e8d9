"""Learning from another model instead of from labels.

    loss = MSELoss()(student(texts), teacher_vectors)                 # imitate the teacher's vectors
    loss = RelationalLoss()(student(texts), teacher_vectors)          # imitate its similarities: any dimension will do

Names and results are those of sentence_transformers' losses, which has no RelationalLoss. As in `losses`, each takes
embeddings, returns a scalar, computes in float32 at least and raises ValueError where its input does not fit. What a
teacher gave gets no gradient.

Left out on purpose: learning from a teacher's scores (margins, Kullback-Leibler divergence) and from its hidden layers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.similarity import cos_sim
from course_lib.support.loss_inputs import checked
from course_lib.support.vectors import tensor_of


class MSELoss(nn.Module):
    """The student's vector shall be the teacher's: mean squared difference of all their numbers.

    Reimers & Gurevych 2020 (arXiv 2004.09813), section 2, where the student also reads a second language.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """student: (batch, dim). teacher: the same, a tensor or array."""
        (student,), teacher = checked(student), _taught(teacher)
        if student.shape[1:] != teacher.shape[1:]:
            raise ValueError(
                f"the student's vectors are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}: give the "
                "student a Dense module of the teacher's dim, cut the teacher's by PCA, or take RelationalLoss"
            )
        student, teacher = checked(student, teacher)
        return F.mse_loss(student, teacher.to(student))


class RelationalLoss(nn.Module):
    """What is alike for the teacher shall be alike for the student: mean squared difference of the cosines of every
    text of the batch with every text.

    After Tung & Mori 2019 (arXiv 1907.09682) and Park et al. 2019 (arXiv 1904.05068); their relations are others than
    cosines.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """student: (batch, dim). teacher: (batch, any dim), of the same texts, a tensor or array."""
        (student,), (teacher,) = checked(student), checked(_taught(teacher))
        if len(student) != len(teacher):
            counts = f"{len(student)} of the student and {len(teacher)} of the teacher"
            raise ValueError(f"expected vectors of the same texts, got {counts}")
        with torch.autocast(student.device.type, enabled=False):
            relations, wanted = cos_sim(student, student), cos_sim(teacher, teacher)  # (batch, batch) each
        return F.mse_loss(relations, wanted.to(relations))


def _taught(teacher) -> Tensor:
    """A teacher's vectors, without gradient. ValueError where one is not finite."""
    teacher = tensor_of(teacher, "teacher")
    if bad := (~teacher.isfinite().all(dim=-1)).nonzero().flatten().tolist():
        raise ValueError(
            f"{len(bad)} of the teacher's {len(teacher)} vectors are not finite, the first in row {bad[0]}: "
            "embed these texts anew"
        )
    return teacher.detach()
