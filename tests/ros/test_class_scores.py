from __future__ import annotations

import pytest

from perception.ros.class_scores import class_scores, problem_with_scores, unknown_classes


def test_scores_by_name():
    assert class_scores(["car=0.4", "", " person = 1 ", "tram=0"]) == {"car": 0.4, "person": 1.0, "tram": 0.0}


@pytest.mark.parametrize("text", ["car", "car=", "=0.5", "car=much", "car=1.5", "car=-0.1", "car=nan", "car=0.5=1"])
def test_a_wrong_text_is_one_sentence_that_quotes_it(text):
    assert problem_with_scores(["tram=0.5", text]).startswith(f"'{text}': write a class and a score from 0 to 1")


def test_a_name_that_comes_twice():
    assert problem_with_scores(["car=0.4", "car=0.5"]) == "'car' comes twice; give it one score"


def test_right_texts_are_no_problem():
    assert problem_with_scores(["car=0.4", "tram=0.5"]) == ""
    assert problem_with_scores([""]) == ""


def test_names_that_are_not_known():
    assert unknown_classes(["car=0.4", "tram", "", "bus = 1"], ("car", "bicycle")) == ["tram", "bus"]
