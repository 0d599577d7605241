"""Scores of single classes as the strings of a parameter: `car=0.4`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def class_scores(texts: Iterable[str]) -> dict[str, float]:
    """Read `name=score` texts; empty ones say nothing.

    Raises:
        ValueError: one that is no such text, a score outside of 0..1, or a name that comes twice; says which.
    """
    scores: dict[str, float] = {}
    for text in filter(None, texts):
        name, _, number = (part.strip() for part in text.partition("="))
        try:
            score = float(number)
        except ValueError:
            score = -1.0
        if not name or not 0 <= score <= 1:
            raise ValueError(f"'{text}': write a class and a score from 0 to 1, such as car=0.4")
        if name in scores:
            raise ValueError(f"'{name}' comes twice; give it one score")
        scores[name] = score
    return scores


def problem_with_scores(texts: Iterable[str]) -> str:
    """Say what is wrong with the texts, or nothing."""
    try:
        class_scores(texts)
    except ValueError as error:
        return str(error)
    return ""


def unknown_classes(texts: Iterable[str], known: Sequence[str]) -> list[str]:
    """Names, or `name=score` texts, of classes that are not among the known."""
    names = (text.partition("=")[0].strip() for text in texts)
    return [name for name in names if name and name not in known]
