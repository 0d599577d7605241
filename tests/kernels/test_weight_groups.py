"""Adaptive grouping decides how fast a layer is, never its result: nothing else would notice that it is wrong."""

from __future__ import annotations

import os
import subprocess

import pytest

PROGRAM = """
#include <cstdio>
#include <cstdlib>
#include "sparse_conv/weight_groups.hpp"
int main(int count, char** arguments) {
  std::vector<int64_t> counts;
  for (int i = 3; i < count; ++i) counts.push_back(std::atoll(arguments[i]));
  for (const auto& group : pk::group_weights(counts, std::atof(arguments[1]), std::atoll(arguments[2]))) {
    for (const int weight : group) std::printf("%d ", weight);
    std::printf("\\n");
  }
}
"""
ALWAYS = 1 << 40


@pytest.fixture(scope="module")
def group_weights(top, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weight_groups")
    (folder / "main.cpp").write_text(PROGRAM)
    sources = [folder / "main.cpp", top / "kernels" / "sparse_conv" / "weight_groups.cpp"]
    compiler = os.environ.get("CXX", "c++")
    subprocess.run([compiler, "-std=c++17", f"-I{top / 'kernels'}", *sources, "-o", folder / "run"], check=True)

    def call(counts, epsilon, threshold):
        command = [folder / "run", str(epsilon), str(threshold), *map(str, counts)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return [[int(weight) for weight in line.split()] for line in lines]

    return call


def test_nothing_to_do(group_weights):
    assert group_weights([0, 0], 1.0, ALWAYS) == []


def test_without_tolerance_only_equal_weights_share(group_weights):
    """The symmetric pairs of a submanifold layer, whose counts are the same."""
    assert group_weights([5, 3, 0, 9, 3, 5], 0.0, ALWAYS) == [[3], [0, 5], [1, 4]]


def test_the_waste_of_a_group_stays_within_the_tolerance(group_weights):
    counts = [100, 90, 60, 50, 10, 9, 1]
    groups = group_weights(counts, 0.2, ALWAYS)
    assert groups == [[0, 1, 2], [3], [4, 5], [6]]
    for group in groups:
        padded = len(group) * max(counts[weight] for weight in group)
        assert padded - sum(counts[weight] for weight in group) <= 0.2 * padded


def test_large_weights_stay_alone(group_weights):
    assert group_weights([100, 100, 99, 99], 0.5, 100) == [[0], [1], [2, 3]]
    assert group_weights([100, 100, 99, 99], 0.5, 0) == [[0], [1], [2], [3]]


def test_everything_shares_where_all_waste_is_tolerated(group_weights):
    assert group_weights([1, 1000, 0, 7], 1.0, ALWAYS) == [[1, 3, 0]]
