"""What most of these files need: two gateways and two workers of one model."""

from __future__ import annotations

import pytest

from model_sources import model_source


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(model_source("queue/everything"))


@pytest.fixture
def one(fleet):
    return fleet.gateways[0]


@pytest.fixture
def other(fleet):
    return fleet.gateways[1]
